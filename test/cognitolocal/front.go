package cognitolocal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"cognito-token-handler/test/cognitolocal/hosted"
)

// patience is how long cognito-local may take to answer. A busy machine does not reach it, only a hang does.
const patience = 2 * time.Minute

// maxBody bounds every body that is read.
const maxBody = 1 << 20

// front is the proxy that adds what Cognito has and cognito-local lacks.
type front struct {
	url          string
	issuer       string
	clientID     string
	clientSecret string
	callbackURLs []string
	logoutURLs   []string
	users        []string // of the seed, for the sign-in page
	password     string   // of all users, if it is the same
	code         string   // that cognito-local gives everybody who needs one
	backend      *url.URL // of cognito-local
	proxy        *httputil.ReverseProxy
	client       *http.Client
	tokens       *oidc.IDTokenVerifier // checks signature, issuer and expiry
	ledger       *ledger
	calls        *counter
	visits       *memory // of people at the hosted pages
	challenges   *memory // for passkeys, each of which is good once
	passkeys     *passkeys
	ready        func() bool
}

func newFront(ctx context.Context, p *Pool, backend *url.URL, options Options) *front {
	client := &http.Client{
		Timeout:       patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	// The key set keeps this context for its own fetches; it outlives the start.
	ctx = oidc.ClientContext(context.WithoutCancel(ctx), client)
	keys := oidc.NewRemoteKeySet(ctx, backend.JoinPath(PoolID, ".well-known", "jwks.json").String())
	users, password := shown(options.Users)
	return &front{
		callbackURLs: options.CallbackURLs, users: users, password: password, code: p.code, visits: newMemory(), challenges: newMemory(), passkeys: newPasskeys(),
		url: p.URL, issuer: p.Issuer, clientID: p.ClientID, clientSecret: p.ClientSecret, logoutURLs: options.LogoutURLs,
		backend: backend, client: client, ledger: newLedger(), calls: newCounter(), ready: options.Ready,
		proxy:  &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(backend) }},
		tokens: oidc.NewVerifier(p.Issuer, keys, &oidc.Config{SkipClientIDCheck: true}),
	}
}

// shown returns the users that the sign-in page names, if they have the same password.
func shown(users []User) (emails []string, password string) {
	for _, user := range users {
		if emails != nil && user.Password != password || len(emails) == maxShown {
			return nil, ""
		}
		emails, password = append(emails, user.Email), user.Password
	}
	return emails, password
}

const maxShown = 5

// routes returns the handler of everything that is served. cognito-local's API at POST / is not served, because it asks for no
// credentials and any page in the developer's browser could call it.
func (f *front) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /"+PoolID+"/.well-known/openid-configuration", f.discovery)
	mux.Handle("GET /"+PoolID+"/.well-known/jwks.json", f.proxy)
	mux.HandleFunc("GET /oauth2/authorize", f.open(hosted.SignIn))
	mux.HandleFunc("POST /oauth2/authorize", f.login)
	mux.HandleFunc("POST /oauth2/token", f.token)
	mux.HandleFunc("POST /oauth2/revoke", f.revoke)
	mux.HandleFunc("GET /oauth2/userInfo", f.userInfo)
	mux.HandleFunc("POST /oauth2/userInfo", f.userInfo)
	mux.HandleFunc("GET /logout", f.logout)
	mux.HandleFunc("GET /health", f.health)
	mux.HandleFunc("GET /login", f.open(hosted.SignIn))
	mux.HandleFunc("GET /signup", f.open(hosted.SignUp))
	mux.HandleFunc("POST /signup", f.signUp)
	mux.HandleFunc("POST /confirm", f.confirm)
	mux.HandleFunc("GET /forgotPassword", f.open(hosted.Forgot))
	mux.HandleFunc("POST /forgotPassword", f.forgot)
	mux.HandleFunc("POST /confirmForgotPassword", f.reset)
	mux.HandleFunc("GET /passkeys/add", f.openPasskeys)
	mux.HandleFunc("POST /passkeys/add", f.addPasskey)
	mux.HandleFunc("POST /passkeys/login", f.loginForPasskeys)
	mux.HandleFunc("POST /passkeys/signin", f.signInWithPasskey)
	mux.Handle("GET /assets/", hosted.Assets())
	return mux
}

// health answers 200 once everything that was started with the pool answers, too.
func (f *front) health(w http.ResponseWriter, _ *http.Request) {
	if !f.ready() {
		writeAnswer(w, http.StatusServiceUnavailable, map[string]any{"status": "starting"})
		return
	}
	writeAnswer(w, http.StatusOK, map[string]any{"status": "ready"})
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

// logout redirects the browser to a registered sign-out URL, which is compared exactly. Like Cognito it ignores id_token_hint.
func (f *front) logout(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	target := query.Get("logout_uri")
	switch {
	case query.Get("client_id") != f.clientID:
		refuseLogout(w, "The client_id is missing or unknown.")
	case target == "":
		refuseLogout(w, "Required String parameter 'redirect_uri' is not present")
	case !slices.Contains(f.logoutURLs, target):
		refuseLogout(w, "The logout_uri is not registered for this client.")
	default:
		http.SetCookie(w, &http.Cookie{Name: sessionCookie, Path: "/passkeys", MaxAge: -1, HttpOnly: true})
		http.Redirect(w, r, target, http.StatusFound)
	}
}

func refuseLogout(w http.ResponseWriter, fault string) {
	hosted.Write(w, http.StatusBadRequest, hosted.Page{Name: hosted.Failed, Error: fault})
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
