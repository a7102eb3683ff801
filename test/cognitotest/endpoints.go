package cognitotest

import (
	"net/http"
	"strings"
)

// discovery serves a discovery document with the members that a real pool's has. Like
// a real one it does not mention PKCE, the iss parameter (RFC 9207), and front-channel
// and back-channel logout.
func (s *Server) discovery(w http.ResponseWriter, _ *http.Request) {
	endSession := s.URL + "/logout"
	if s.opts.OpenID {
		endSession = s.URL + "/session/end"
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"issuer":                                s.Issuer(),
		"jwks_uri":                              s.Issuer() + "/.well-known/jwks.json",
		"authorization_endpoint":                s.URL + "/oauth2/authorize",
		"token_endpoint":                        s.URL + "/oauth2/token",
		"userinfo_endpoint":                     s.URL + "/oauth2/userInfo",
		"revocation_endpoint":                   s.URL + "/oauth2/revoke",
		"end_session_endpoint":                  endSession,
		"response_types_supported":              []string{"code", "token"},
		"scopes_supported":                      []string{"openid", "email", "phone", "profile"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
	})
}

func (s *Server) jwks(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	keys := s.keys.all()
	s.mu.Unlock()
	set := make([]map[string]string, len(keys))
	for i, key := range keys {
		set[i] = key.jwk()
	}
	writeJSON(w, http.StatusOK, map[string]any{"keys": set})
}

// revoke serves the revocation endpoint (RFC 7009). It answers 200 with an empty body,
// also if the token is unknown.
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	raw := r.PostForm.Get("token")
	switch {
	case !s.authenticated(r):
		writeJSON(w, http.StatusUnauthorized, oauthError{Code: "invalid_client", Description: Canary})
	case raw == "" || s.opts.NoRevocation:
		writeJSON(w, http.StatusBadRequest, oauthError{Code: "invalid_request", Description: Canary})
	case strings.Count(raw, ".") == 2:
		writeJSON(w, http.StatusBadRequest, oauthError{Code: "unsupported_token_type", Description: Canary})
	default:
		s.mu.Lock()
		if t := s.refresh[raw]; t != nil {
			t.family.revoked = true
		}
		s.mu.Unlock()
		w.WriteHeader(http.StatusOK)
	}
}

// userInfo serves the userInfo endpoint (OpenID Connect Core 1.0 §5.3). As in Cognito's
// responses email_verified is a string.
func (s *Server) userInfo(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", "*")
	raw, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		writeJSON(w, http.StatusBadRequest, oauthError{Code: "invalid_request", Description: Canary})
		return
	}
	user, ok := s.bearer(raw, "openid")
	if !ok {
		// Like Cognito's, the header lacks the scheme that RFC 6750 requires.
		w.Header().Set("WWW-Authenticate", `error="invalid_token", error_description="Access token is expired, disabled, or deleted, or the user has globally signed out. `+Canary+`"`)
		writeJSON(w, http.StatusUnauthorized, oauthError{Code: "invalid_token", Description: Canary})
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"sub": user.Sub, "username": user.Username, "name": user.Name,
		"email": user.Email, "email_verified": "true",
	})
}

// bearer returns the user of an access token that is valid and has the scope.
func (s *Server) bearer(raw, scope string) (User, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	claims, err := s.keys.parse(raw)
	if err != nil {
		return User{}, false
	}
	expires, _ := claims["exp"].(float64)
	scopes, _ := claims["scope"].(string)
	origin, _ := claims["origin_jti"].(string)
	f := s.families[origin]
	if f == nil || f.revoked || claims["token_use"] != "access" || !hasScope(scopes, scope) || s.now().Unix() >= int64(expires) {
		return User{}, false
	}
	return s.active(f.user.Username)
}

// Accepts reports whether the userInfo endpoint accepts the access token: the pool has
// signed it, it has not expired, it has the scope openid, and the login was not
// revoked.
func (s *Server) Accepts(access string) bool {
	_, ok := s.bearer(access, "openid")
	return ok
}

// Living returns the number of a user's logins whose refresh tokens are valid.
func (s *Server) Living(username string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.families {
		if f.user.Username == username && !f.revoked && s.now().Before(f.expires) {
			n++
		}
	}
	return n
}

// Revoked reports whether the pool refuses a refresh token, because its family was
// revoked or because the token was never issued.
func (s *Server) Revoked(refresh string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.refresh[refresh]
	return t == nil || t.family.revoked
}
