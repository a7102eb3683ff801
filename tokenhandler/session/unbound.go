package session

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"

	"cognito-token-handler/tokenhandler/secret"
)

// Earlier releases sealed cookies without a binding to the issuer and the client. Such
// cookies open in this minor version and the next (seal.Codec.Unbound).

// anyActivity opens every activity cookie: the activity counts only for the session that
// it names by 128 random bits.
func anyActivity([]byte) bool { return true }

// anyLogin opens every login cookie: its state opens nothing but this login, and its
// code verifier and nonce are of use only with a code that the provider of this service
// has issued for them.
func anyLogin([]byte) bool { return true }

// namesUs reports whether the tokens of a payload were issued by this issuer for this
// client. If there is an ID token, it decides: it is made for the client, but an access
// token for APIs, with a provider's own names for the client or with none.
func (s *Store) namesUs(payload []byte) bool {
	var all tokens
	if all.UnmarshalBinary(payload) != nil {
		return false
	}
	of, ok := partiesOf(all.ID)
	if !ok {
		of, ok = partiesOf(all.Access)
	}
	return ok && of.Issuer == s.cfg.Issuer && slices.Contains(of.clients(), s.cfg.ClientID)
}

// parties are the claims that say who issued a token and for whom.
type parties struct {
	Issuer string `json:"iss"`
	// ClientID is in access tokens (RFC 9068 §2.2). Party is in ID tokens (OpenID Connect
	// Core 1.0 §2), and in access tokens of several providers.
	ClientID string `json:"client_id"`
	Party    string `json:"azp"`
	// Audience is a string or a list of strings. That of an ID token has the client.
	Audience json.RawMessage `json:"aud"`
}

// partiesOf reads the payload of a token. It is not ok if the token is no JWT or does not
// name its issuer. The session cookie has authenticated the token.
func partiesOf(token secret.String) (of parties, ok bool) {
	_, rest, _ := strings.Cut(token.Reveal(), ".")
	encoded, _, signed := strings.Cut(rest, ".")
	payload, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil || !signed || json.Unmarshal(payload, &of) != nil {
		return parties{}, false
	}
	return of, of.Issuer != ""
}

// clients are the clients that a token names.
func (p *parties) clients() []string {
	if p.ClientID != "" || p.Party != "" {
		return []string{p.ClientID, p.Party}
	}
	var one string
	if json.Unmarshal(p.Audience, &one) == nil {
		return []string{one}
	}
	var several []string
	_ = json.Unmarshal(p.Audience, &several) // anything else names nobody
	return several
}
