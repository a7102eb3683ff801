package cognitolocal

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// maxBody bounds every body that is read.
const maxBody = 1 << 20

// front is the proxy that adds what Cognito has and cognito-local lacks.
type front struct {
	url          string
	issuer       string
	clientID     string
	clientSecret string
	logoutURLs   []string
	backend      *url.URL // of cognito-local
	proxy        *httputil.ReverseProxy
	client       *http.Client
	tokens       *oidc.IDTokenVerifier // checks signature, issuer and expiry
	ledger       *ledger
	calls        *counter
}

func newFront(ctx context.Context, p *Pool, backend *url.URL, logoutURLs []string) *front {
	client := &http.Client{
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	// The key set keeps this context for its own fetches; it outlives the start.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), client)
	keys := oidc.NewRemoteKeySet(ctx, backend.JoinPath(PoolID, ".well-known", "jwks.json").String())
	return &front{
		url: p.URL, issuer: p.Issuer, clientID: p.ClientID, clientSecret: p.ClientSecret, logoutURLs: logoutURLs,
		backend: backend, client: client, ledger: newLedger(), calls: newCounter(),
		proxy:  &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(backend) }},
		tokens: oidc.NewVerifier(p.Issuer, keys, &oidc.Config{SkipClientIDCheck: true}),
	}
}

// routes returns the handler of everything that is served. cognito-local's API at POST / is not served, because it asks for no
// credentials and any page in the developer's browser could call it.
func (f *front) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+PoolID+"/.well-known/openid-configuration", f.discovery)
	mux.Handle("GET /"+PoolID+"/.well-known/jwks.json", f.proxy)
	mux.Handle("GET /oauth2/authorize", f.proxy)
	mux.HandleFunc("POST /oauth2/authorize", f.login)
	mux.HandleFunc("POST /oauth2/token", f.token)
	mux.HandleFunc("POST /oauth2/revoke", f.revoke)
	mux.HandleFunc("GET /oauth2/userInfo", f.userInfo)
	mux.HandleFunc("POST /oauth2/userInfo", f.userInfo)
	mux.HandleFunc("GET /logout", f.logout)
	for _, path := range []string{"/login", "/signup", "/forgotPassword"} {
		mux.HandleFunc("GET "+path, enter)
	}
	return mux
}

// discovery answers with the members of Cognito's document, which has no code_challenge_methods_supported.
func (f *front) discovery(w http.ResponseWriter, _ *http.Request) {
	writeAnswer(w, http.StatusOK, map[string]any{
		"issuer":                                f.issuer,
		"jwks_uri":                              f.issuer + "/.well-known/jwks.json",
		"authorization_endpoint":                f.url + "/oauth2/authorize",
		"token_endpoint":                        f.url + "/oauth2/token",
		"userinfo_endpoint":                     f.url + "/oauth2/userInfo",
		"revocation_endpoint":                   f.url + "/oauth2/revoke",
		"end_session_endpoint":                  f.url + "/logout",
		"response_types_supported":              []string{"code", "token"},
		"scopes_supported":                      []string{"openid", "email", "phone", "profile"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic", "client_secret_post"},
	})
}

// login refuses a disabled user, whom cognito-local would let in: it replaces the password by a wrong one, so that cognito-local
// shows its page for wrong passwords.
func (f *front) login(w http.ResponseWriter, r *http.Request) {
	form, ok := readForm(w, r)
	if !ok {
		return
	}
	user, err := f.account(r.Context(), form.Get("username"))
	if err != nil && !errors.Is(err, errNoUser) {
		writeAnswer(w, http.StatusInternalServerError, oauthError("server_error", ""))
		return
	}
	if err == nil && !user.Enabled {
		form.Set("password", rand.Text())
	}
	encoded := form.Encode()
	r.Body = io.NopCloser(strings.NewReader(encoded))
	r.ContentLength = int64(len(encoded))
	r.Header.Set("Content-Length", strconv.Itoa(len(encoded)))
	f.proxy.ServeHTTP(w, r)
}

// enter serves the other pages of the hosted UI, which end at the same callback.
func enter(w http.ResponseWriter, r *http.Request) {
	target := url.URL{Path: "/oauth2/authorize", RawQuery: r.URL.RawQuery}
	http.Redirect(w, r, target.String(), http.StatusFound)
}

// logout redirects the browser to a registered sign-out URL, which is compared exactly. Like Cognito it ignores id_token_hint.
func (f *front) logout(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	target := query.Get("logout_uri")
	switch {
	case query.Get("client_id") != f.clientID:
		errorPage(w, "The client_id is missing or unknown.")
	case target == "":
		errorPage(w, "Required String parameter 'redirect_uri' is not present")
	case !slices.Contains(f.logoutURLs, target):
		errorPage(w, "The logout_uri is not registered for this client.")
	default:
		http.Redirect(w, r, target, http.StatusFound)
	}
}

func errorPage(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = io.WriteString(w, "<!DOCTYPE html><title>An error was encountered</title><p>"+text+"</p>\n")
}

// readForm reads a form body in which no parameter occurs twice. If there is none, it answers with an error and returns false.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	err := r.ParseForm()
	for _, values := range r.PostForm {
		if len(values) > 1 {
			err = errDuplicate
		}
	}
	if err != nil {
		writeAnswer(w, http.StatusBadRequest, oauthError("invalid_request", "malformed form"))
		return nil, false
	}
	return r.PostForm, true
}

var errDuplicate = errors.New("duplicate parameter")

// oauthError is an error answer of RFC 6749 section 5.2.
func oauthError(code, description string) map[string]any {
	answer := map[string]any{"error": code}
	if description != "" {
		answer["error_description"] = description
	}
	return answer
}

// writeAnswer writes JSON as Cognito's endpoints do.
func writeAnswer(w http.ResponseWriter, status int, content any) {
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(content); err != nil {
		status = http.StatusInternalServerError
	}
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.Header().Set("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes())
}
