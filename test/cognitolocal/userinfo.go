package cognitolocal

import (
	"context"
	"errors"
	"net/http"
	"strings"
)

// userInfo answers with the user's attributes, all of them strings, as Cognito does. Its 401 covers a token that is expired,
// forged, revoked, or whose user is gone or disabled.
func (f *front) userInfo(w http.ResponseWriter, r *http.Request) {
	scheme, token, found := strings.Cut(r.Header.Get("Authorization"), " ")
	if !found || !strings.EqualFold(scheme, "Bearer") {
		w.Header().Set("WWW-Authenticate", `error="invalid_request", error_description="Bad OAuth2 request at UserInfo Endpoint"`)
		writeAnswer(w, http.StatusBadRequest, oauthError("invalid_request", ""))
		return
	}
	user, err := f.bearer(r.Context(), token)
	switch {
	case errors.Is(err, errDead):
		w.Header().Set("WWW-Authenticate", `error="invalid_token", error_description="Access token is expired, disabled, or deleted, `+
			`or the user has globally signed out."`)
		writeAnswer(w, http.StatusUnauthorized, oauthError("invalid_token", ""))
	case err != nil:
		writeAnswer(w, http.StatusInternalServerError, oauthError("server_error", ""))
	default:
		answer := map[string]string{"username": user.Username}
		for _, entry := range user.UserAttributes {
			answer[entry.Name] = entry.Value
		}
		writeAnswer(w, http.StatusOK, answer)
	}
}

// bearer returns the user whose live access token this is, else errDead.
func (f *front) bearer(ctx context.Context, token string) (account, error) {
	verified, err := f.tokens.Verify(ctx, token)
	if err != nil {
		return account{}, errDead
	}
	var claims tokenClaims
	if err := verified.Claims(&claims); err != nil || claims.TokenUse != "access" || !f.ledger.alive(claims.JTI) {
		return account{}, errDead
	}
	user, err := f.account(ctx, claims.Sub)
	if errors.Is(err, errNoUser) || (err == nil && !user.Enabled) {
		return account{}, errDead
	}
	return user, err
}
