package cognitolocal

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// tokenAnswer is the token endpoint's answer.
type tokenAnswer struct {
	IDToken      string `json:"id_token"`
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token,omitempty"`
	ExpiresIn    int64  `json:"expires_in"`
	TokenType    string `json:"token_type"`
}

// tokenClaims are the claims that the front looks at.
type tokenClaims struct {
	Sub      string `json:"sub"`
	JTI      string `json:"jti"`
	IssuedAt int64  `json:"iat"`
	Expiry   int64  `json:"exp"`
	TokenUse string `json:"token_use"`
	ClientID string `json:"client_id"`
}

// token authenticates the client and lets cognito-local issue the tokens. It withholds them if the user is disabled or the sign-in was
// revoked.
func (f *front) token(w http.ResponseWriter, r *http.Request) {
	form, ok := readForm(w, r)
	if !ok {
		return
	}
	grant := form.Get("grant_type")
	f.calls.add(grant)
	if !f.authenticated(r, form) {
		writeAnswer(w, http.StatusBadRequest, oauthError("invalid_client", ""))
		return
	}
	if grant == "refresh_token" && expired(form.Get("refresh_token")) {
		writeAnswer(w, http.StatusBadRequest, oauthError("invalid_grant", "Refresh Token has expired"))
		return
	}
	status, body, err := f.forward(r.Context(), form)
	if err != nil {
		writeAnswer(w, http.StatusInternalServerError, oauthError("server_error", ""))
		return
	}
	if status != http.StatusOK {
		writeAnswer(w, status, json.RawMessage(body))
		return
	}
	answer, err := f.release(r.Context(), form, body)
	switch {
	case errors.Is(err, errDead):
		writeAnswer(w, http.StatusBadRequest, oauthError("invalid_grant", "Refresh Token has been revoked"))
	case err != nil:
		writeAnswer(w, http.StatusInternalServerError, oauthError("server_error", ""))
	default:
		writeAnswer(w, http.StatusOK, answer)
	}
}

// errDead is returned if the user or the sign-in must not get tokens any more.
var errDead = errors.New("revoked")

// release decides whether the client gets the tokens that cognito-local has issued. It runs after that, so that it notices a user who
// was disabled, or a sign-in that was revoked, meanwhile.
func (f *front) release(ctx context.Context, form url.Values, body []byte) (tokenAnswer, error) {
	var answer tokenAnswer
	if err := json.Unmarshal(body, &answer); err != nil {
		return answer, fmt.Errorf("reading the token answer: %w", err)
	}
	f.ledger.keep(answer)
	claims, err := decode(answer.AccessToken)
	if err != nil {
		return answer, err
	}
	answer.ExpiresIn = claims.Expiry - claims.IssuedAt
	user, err := f.account(ctx, claims.Sub)
	if errors.Is(err, errNoUser) {
		return answer, errDead
	}
	if err != nil {
		return answer, err
	}
	refreshToken := answer.RefreshToken
	if refreshToken == "" {
		refreshToken = form.Get("refresh_token")
	}
	if !user.Enabled || !f.ledger.issued(refreshToken, claims.Sub, claims.JTI) {
		return answer, errDead
	}
	return answer, nil
}

// forward sends the request to cognito-local, which expects client_id in the form and knows no secret.
func (f *front) forward(ctx context.Context, form url.Values) (int, []byte, error) {
	form.Set("client_id", f.clientID)
	form.Del("client_secret")
	target := f.backend.JoinPath("oauth2", "token").String()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := f.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	return response.StatusCode, body, err
}

// revoke is the revocation endpoint (RFC 7009). Like Cognito's it revokes refresh tokens only, and answers 200 for unknown and
// revoked ones.
func (f *front) revoke(w http.ResponseWriter, r *http.Request) {
	form, ok := readForm(w, r)
	if !ok {
		return
	}
	token := form.Get("token")
	if !f.authenticated(r, form) {
		writeAnswer(w, http.StatusUnauthorized, oauthError("invalid_client", ""))
		return
	}
	if token == "" {
		writeAnswer(w, http.StatusBadRequest, oauthError("invalid_request", "Required parameter: token"))
		return
	}
	if claims, err := decode(token); err == nil && claims.TokenUse != "" {
		writeAnswer(w, http.StatusBadRequest, oauthError("unsupported_token_type", ""))
		return
	}
	if f.ledger.revoke(token) {
		// This only frees memory: the token is already revoked in the ledger.
		_ = f.admin(r.Context(), "RevokeToken", map[string]any{"ClientId": f.clientID, "Token": token}, nil)
	}
	w.WriteHeader(http.StatusOK)
}

// authenticated checks the secret, by Basic (both halves form-encoded, RFC 6749 section 2.3.1) or in the form, not both.
func (f *front) authenticated(r *http.Request, form url.Values) bool {
	id, secret, basic := r.BasicAuth()
	if !basic {
		return f.isClient(form.Get("client_id"), form.Get("client_secret"))
	}
	if form.Has("client_secret") || (form.Has("client_id") && form.Get("client_id") != f.clientID) {
		return false
	}
	id, errID := url.QueryUnescape(id)
	secret, errSecret := url.QueryUnescape(secret)
	return errID == nil && errSecret == nil && f.isClient(id, secret)
}

func (f *front) isClient(id, secret string) bool {
	return id == f.clientID && subtle.ConstantTimeCompare([]byte(secret), []byte(f.clientSecret)) == 1
}

// expired reports whether a refresh token has expired, which cognito-local does not check. It returns false for other strings.
func expired(refreshToken string) bool {
	claims, err := decode(refreshToken)
	return err == nil && time.Now().Unix() >= claims.Expiry
}

// decode reads a JWT's claims and does NOT check its signature.
func decode(token string) (tokenClaims, error) {
	var claims tokenClaims
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims, errNoJWT
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return claims, errNoJWT
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return claims, errNoJWT
	}
	return claims, nil
}

var errNoJWT = errors.New("not a JWT")
