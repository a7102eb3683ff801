package demoapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
)

// claims are all claims of a verified access token.
type claims map[string]any

func (c claims) text(name string) string {
	s, _ := c[name].(string)
	return s
}

var (
	errNoToken  = errors.New("no bearer token")
	errWrongUse = errors.New("not an access token of this client")
	errBadToken = errors.New("token cannot be verified")
)

// authorized calls next for a request with exactly one Authorization header that has a valid access token, and refuses others.
func (a *API) authorized(next func(http.ResponseWriter, *http.Request, claims)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		found, err := a.verify(r.Context(), r.Header.Values("Authorization"))
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		next(w, r, found)
	})
}

func (a *API) verify(ctx context.Context, headers []string) (claims, error) {
	if len(headers) != 1 {
		return nil, errNoToken
	}
	scheme, token, found := strings.Cut(headers[0], " ")
	if !found || !strings.EqualFold(scheme, "Bearer") || token == "" {
		return nil, errNoToken
	}
	verified, err := a.verifier.Verify(ctx, token)
	if err != nil {
		return nil, errBadToken
	}
	var all claims
	if err := verified.Claims(&all); err != nil {
		return nil, errBadToken
	}
	if all.text("token_use") != "access" || all.text("client_id") != a.clientID || verified.Subject == "" {
		return nil, errWrongUse
	}
	return all, nil
}

// refuse responds with 401. As RFC 6750 §3 says, there is no error code if the request had no token.
func refuse(w http.ResponseWriter, err error) {
	challenge := `Bearer realm="demo"`
	if !errors.Is(err, errNoToken) {
		challenge += `, error="invalid_token", error_description="` + err.Error() + `"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	writeJSON(w, http.StatusUnauthorized, map[string]string{"error": err.Error()})
}

func writeJSON(w http.ResponseWriter, status int, content any) {
	body, err := json.Marshal(content)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"internal error"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
