package cognito

import (
	"encoding/json"
)

// claimNames maps a name that a session shows to the provider's claim. Names
// that are not listed are the provider's own.
func (p *Provider) claimName(shown string) string {
	if p.cfg.Profile == Cognito {
		switch shown {
		case "username":
			return "cognito:username"
		case "groups":
			return "cognito:groups"
		}
		return shown
	}
	if shown == "username" {
		return "preferred_username"
	}
	return shown
}

// showClaims makes the JSON object of the configured claims, in their order.
// Absent claims are left out. email_verified becomes a boolean whatever the
// provider sends: Cognito has both forms (FACTS COG-UI-01).
func (p *Provider) showClaims(all map[string]json.RawMessage) string {
	out := []byte{'{'}
	for _, name := range p.cfg.Claims {
		value, there := all[p.claimName(name)]
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
