package cognito

import "encoding/json"

// claimName returns the provider's claim for a name of session.claims. Most names
// are the same.
func (v *verifier) claimName(name string) string {
	if v.cfg.Profile == Cognito {
		switch name {
		case "username":
			return "cognito:username"
		case "groups":
			return "cognito:groups"
		}
		return name
	}
	if name == "username" {
		return "preferred_username"
	}
	return name
}

// userClaims returns the configured claims as a JSON object, in their configured
// order, without those that are absent. email_verified and phone_number_verified
// become booleans: Cognito sends booleans and strings (README "Tokens").
func (v *verifier) userClaims(all map[string]json.RawMessage) string {
	out := []byte{'{'}
	for _, name := range v.cfg.Claims {
		value, there := all[v.claimName(name)]
		if !there || string(value) == "null" {
			continue
		}
		switch string(value) {
		case `"true"`, `"false"`:
			if name == "email_verified" || name == "phone_number_verified" {
				value = value[1 : len(value)-1]
			}
		}
		key, err := json.Marshal(name)
		if err != nil {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, key...), ':'), value...)
	}
	return string(append(out, '}'))
}
