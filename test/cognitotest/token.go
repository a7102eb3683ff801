package cognitotest

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// family is a login with all tokens that were issued for it.
type family struct {
	grant

	expires time.Time // of its refresh tokens, which rotation does not extend
	revoked bool
}

type refreshToken struct {
	family *family
	// rotated is when the token was first exchanged for a successor, zero before.
	rotated time.Time
}

// oauthError is the JSON body of an error response (RFC 6749 §5.2).
type oauthError struct {
	Code        string `json:"error"`
	Description string `json:"error_description,omitempty"`
}

func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	if !s.authenticated(r) {
		writeJSON(w, http.StatusBadRequest, oauthError{Code: "invalid_client", Description: "invalid_client_secret " + Canary})
		return
	}
	var answer map[string]any
	var refused *oauthError
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		answer, refused = s.redeem(r.PostForm)
	case "refresh_token":
		answer, refused = s.renew(r.PostForm.Get("refresh_token"))
	default:
		refused = &oauthError{Code: "unsupported_grant_type"}
	}
	if refused != nil {
		writeJSON(w, http.StatusBadRequest, refused)
		return
	}
	s.mu.Lock()
	s.counts[TokenAny+".ok"]++
	s.counts[tokenEndpointName(r.PostForm.Get("grant_type"))+".ok"]++
	s.mu.Unlock()
	writeJSON(w, http.StatusOK, answer)
}

// authenticated reports whether the client's credentials are valid. They are in the
// Authorization header (Basic, with both parts form-encoded: RFC 6749 §2.3.1) or in the
// body, but not in both.
func (s *Server) authenticated(r *http.Request) bool {
	user, password, basic := r.BasicAuth()
	id, inBody := r.PostForm.Get("client_id"), r.PostForm.Has("client_secret")
	switch {
	case s.opts.PublicClient:
		return !basic && !inBody && id == s.opts.ClientID
	case basic && inBody:
		return false
	case basic:
		name, err1 := url.QueryUnescape(user)
		secret, err2 := url.QueryUnescape(password)
		return err1 == nil && err2 == nil && name == s.opts.ClientID && (id == "" || id == name) && s.isSecret(secret)
	}
	return id == s.opts.ClientID && s.isSecret(r.PostForm.Get("client_secret"))
}

func (s *Server) isSecret(secret string) bool {
	found := 0
	for _, want := range s.opts.Secrets {
		found |= subtle.ConstantTimeCompare([]byte(want), []byte(secret))
	}
	return found == 1 && secret != ""
}

// redeem exchanges a code for tokens. The code is invalid afterwards, even if the
// exchange fails.
func (s *Server) redeem(form url.Values) (map[string]any, *oauthError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.codes[form.Get("code")]
	delete(s.codes, form.Get("code"))
	now := s.now()
	switch {
	case form.Get("code") == "" || form.Get("redirect_uri") == "":
		return nil, &oauthError{Code: "invalid_request"}
	case c == nil || !now.Before(c.expires):
		return nil, &oauthError{Code: "invalid_grant"}
	case c.redirectURI != form.Get("redirect_uri"):
		return nil, &oauthError{Code: "unauthorized_client", Description: "invalid_redirect"}
	case !verifies(c.challenge, form.Get("code_verifier")):
		return nil, &oauthError{Code: "invalid_grant", Description: "invalid_code_verifier " + Canary}
	}
	if _, ok := s.active(c.grant.user.Username); !ok {
		return nil, &oauthError{Code: "invalid_grant"}
	}
	f := &family{grant: c.grant, expires: now.Add(s.opts.RefreshTTL)}
	s.families[f.originJTI] = f
	answer := s.issue(f, TokenCode, now, f.nonce)
	answer["refresh_token"] = s.newRefreshToken(f)
	return answer, nil
}

// verifies checks a code verifier (PKCE, RFC 7636). It refuses a verifier if the login
// had no challenge.
func verifies(challenge, verifier string) bool {
	if challenge == "" {
		return verifier == ""
	}
	sum := sha256.Sum256([]byte(verifier))
	return len(verifier) >= 43 && len(verifier) <= 128 && b64(sum[:]) == challenge
}

// renew answers the refresh grant (RFC 6749 §6), and rotates refresh tokens if the
// options say so, as Amazon Cognito's developer guide describes under "Refresh
// tokens".
func (s *Server) renew(raw string) (map[string]any, *oauthError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, t := s.now(), s.refresh[raw]
	if raw == "" {
		return nil, &oauthError{Code: "invalid_request"}
	}
	if t == nil || t.family.revoked || !now.Before(t.family.expires) {
		return nil, &oauthError{Code: "invalid_grant", Description: "Refresh Token has been revoked " + Canary}
	}
	user, ok := s.active(t.family.user.Username)
	if !ok {
		return nil, &oauthError{Code: "invalid_grant", Description: "User is disabled. " + Canary}
	}
	if !t.rotated.IsZero() && now.Sub(t.rotated) >= s.opts.RotationGrace {
		t.family.revoked = t.family.revoked || s.opts.RevokeFamilyOnReuse
		return nil, &oauthError{Code: "invalid_grant", Description: "Refresh token reuse " + Canary}
	}
	t.family.user = user // with the present groups and attributes
	nonce := ""
	if s.opts.NonceOnRefresh {
		nonce = t.family.nonce
	}
	answer := s.issue(t.family, TokenRefresh, now, nonce)
	if s.opts.Rotation {
		answer["refresh_token"] = s.newRefreshToken(t.family)
		if t.rotated.IsZero() {
			t.rotated = now
		}
	}
	return answer, nil
}

func (s *Server) newRefreshToken(f *family) string {
	raw := opaqueToken(s.random, s.opts.RefreshTokenSize)
	s.refresh[raw] = &refreshToken{family: f}
	return raw
}

// issue makes the token response, with the access token and the ID token. It applies
// the edits of faults. The caller holds s.mu.
func (s *Server) issue(f *family, endpoint string, now time.Time, nonce string) map[string]any {
	g := f.grant
	g.nonce = nonce
	faulty := s.onlyGrant == "" || s.onlyGrant == endpoint
	at := g.accessToken(s.keys.access, now, s.opts.AccessTTL, s.random)
	at.pad(s.opts.AccessTokenSize, s.random)
	if faulty && s.editAccess != nil {
		s.editAccess(at)
	}
	access := at.sign()
	answer := map[string]any{
		"access_token": access, "token_type": "Bearer", "expires_in": int(s.opts.AccessTTL.Seconds()),
	}
	if hasScope(g.scope, "openid") {
		it := g.idToken(s.keys.id, access, now, s.opts.AccessTTL, s.random)
		it.pad(s.opts.IDTokenSize, s.random)
		if faulty && s.editID != nil {
			s.editID(it)
		}
		if raw := it.sign(); raw != "" {
			answer["id_token"] = raw
		}
	}
	return answer
}

func hasScope(scopes, want string) bool {
	for scope := range strings.FieldsSeq(scopes) {
		if scope == want {
			return true
		}
	}
	return false
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	out, err := json.Marshal(body)
	if err != nil {
		panic("cognitotest: encoding an answer: " + err.Error())
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.Header().Set("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate")
	w.WriteHeader(status)
	_, _ = w.Write(out)
}
