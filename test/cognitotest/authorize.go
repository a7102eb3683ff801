package cognitotest

import (
	"errors"
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Canary is part of every error text of the server. It must not appear in a browser or
// in a log.
const Canary = "provider-text-canary-7f3a9c"

// hostedCookie is the session cookie of Cognito's hosted pages, which expires after
// hostedTTL.
const (
	hostedCookie = "cognito"
	hostedTTL    = time.Hour
)

// code is an authorization code with the grant that it is exchanged for.
type code struct {
	grant       grant
	redirectURI string
	challenge   string
	expires     time.Time
}

// authorize serves /oauth2/authorize, /login, /signup and /forgotPassword, which have
// the same parameters and redirect to the same callback.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	known := q.Get("client_id") == s.opts.ClientID && slices.Contains(s.callbacks, q.Get("redirect_uri"))
	s.mu.Unlock()
	if !known { // Cognito shows an error page and does not redirect to the relying party
		http.Redirect(w, r, "/error?error=redirect_mismatch&client_id="+url.QueryEscape(q.Get("client_id")), http.StatusFound)
		return
	}
	if err := s.checkAuthorize(q); err != nil {
		// The redirect has no state, like many of Cognito's error redirects.
		s.callback(w, r, url.Values{"error_description": {Canary}, "error": {err.Error()}})
		return
	}
	username, live := s.hostedUser(r)
	prompts := strings.Fields(q.Get("prompt"))
	switch {
	case slices.Contains(prompts, "none") && !live:
		s.callback(w, r, url.Values{"error": {"login_required"}, "state": q["state"]})
	case live && !slices.Contains(prompts, "login"):
		s.finishLogin(w, r, username)
	case !s.opts.LoginForm:
		s.mu.Lock()
		username = s.loginUser
		s.mu.Unlock()
		s.finishLogin(w, r, username)
	case r.URL.Path == "/oauth2/authorize":
		http.Redirect(w, r, "/login?"+r.URL.RawQuery, http.StatusFound)
	default:
		s.loginPage(w, r, "")
	}
}

// checkAuthorize returns an error whose text is the OAuth error code.
func (s *Server) checkAuthorize(q url.Values) error {
	if q.Get("response_type") != "code" {
		return errors.New("invalid_request")
	}
	if method := q.Get("code_challenge_method"); q.Has("code_challenge") != (method == "S256") {
		return errors.New("invalid_request")
	}
	for scope := range strings.FieldsSeq(q.Get("scope")) {
		if !slices.Contains(s.opts.Scopes, scope) {
			return errors.New("invalid_scope")
		}
	}
	return nil
}

// finishLogin starts a session of the hosted pages and redirects with a code.
func (s *Server) finishLogin(w http.ResponseWriter, r *http.Request, username string) {
	q, now := r.URL.Query(), s.now()
	s.mu.Lock()
	user, ok := s.active(username)
	if !ok {
		s.mu.Unlock()
		s.callback(w, r, url.Values{"error_description": {"User is disabled. " + Canary}, "error": {"invalid_request"}})
		return
	}
	value, session := uuidFrom(s.random), uuidFrom(s.random)
	_, live := s.browsers[cookieValue(r)]
	if live {
		session = cookieValue(r)
	}
	s.codes[value] = &code{
		grant: grant{
			user: user, issuer: s.Issuer(), clientID: s.opts.ClientID, scope: s.scopes(q.Get("scope")),
			nonce: q.Get("nonce"), resource: q.Get("resource"),
			originJTI: uuidFrom(s.random), eventID: uuidFrom(s.random), authTime: now, sid: s.sidOf(session),
		},
		redirectURI: q.Get("redirect_uri"), challenge: q.Get("code_challenge"), expires: now.Add(s.opts.CodeTTL),
	}
	if !live {
		s.browsers[session] = hostedSession{username: username, since: now}
	}
	s.mu.Unlock()
	if !live {
		http.SetCookie(w, &http.Cookie{
			Name: hostedCookie, Value: session, Path: "/", MaxAge: int(hostedTTL.Seconds()),
			Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		})
	}
	answer := url.Values{"code": {value}}
	if q.Has("state") {
		answer["state"] = q["state"]
	}
	s.callback(w, r, answer)
}

// scopes returns the requested scopes, or all scopes if none was requested.
func (s *Server) scopes(asked string) string {
	if asked == "" {
		return strings.Join(s.opts.Scopes, " ")
	}
	return asked
}

// callback redirects the browser to the relying party.
func (s *Server) callback(w http.ResponseWriter, r *http.Request, answer url.Values) {
	s.mu.Lock()
	edit := s.onCallback
	s.mu.Unlock()
	if edit != nil {
		edit(answer)
	}
	target, err := url.Parse(r.URL.Query().Get("redirect_uri"))
	if err != nil {
		http.Error(w, "bad redirect_uri "+Canary, http.StatusBadRequest)
		return
	}
	q := target.Query()
	maps.Copy(q, answer)
	target.RawQuery = q.Encode()
	http.Redirect(w, r, target.String(), http.StatusFound)
}

// OnCallback sets a function that changes the parameters of every redirect to
// redirect_uri, for example to another state, an error without state, a repeated
// parameter, or an iss. Nil removes the function.
func (s *Server) OnCallback(edit func(url.Values)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onCallback = edit
}

// hostedUser returns the user of the browser's session at the hosted pages.
func (s *Server) hostedUser(r *http.Request) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	session, ok := s.browsers[cookieValue(r)]
	if !ok || s.now().Sub(session.since) >= hostedTTL {
		return "", false
	}
	return session.username, true
}

func cookieValue(r *http.Request) string {
	c, err := r.Cookie(hostedCookie)
	if err != nil {
		return ""
	}
	return c.Value
}

func (s *Server) submitLogin(w http.ResponseWriter, r *http.Request) {
	username := r.PostForm.Get("username")
	s.mu.Lock()
	user, ok := s.active(username)
	s.mu.Unlock()
	if !ok || user.Password != r.PostForm.Get("password") {
		s.loginPage(w, r, "Incorrect username or password.")
		return
	}
	s.finishLogin(w, r, username)
}

func (*Server) loginPage(w http.ResponseWriter, r *http.Request, message string) {
	w.Header().Set("Content-Type", "text/html;charset=UTF-8")
	_, _ = fmt.Fprintf(w, `<!doctype html><title>Signin</title><p id="error">%s</p>
<form name="login" method="post" action="/login?%s">
<input name="username" autocomplete="username"><input name="password" type="password">
<button type="submit">Sign in</button></form>`, message, html.EscapeString(r.URL.RawQuery))
}

// passkeys serves /passkeys/add, which needs a session of the hosted pages and
// redirects without parameters.
func (s *Server) passkeys(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	known := q.Get("client_id") == s.opts.ClientID && slices.Contains(s.callbacks, q.Get("redirect_uri"))
	s.mu.Unlock()
	_, live := s.hostedUser(r)
	switch {
	case !known:
		http.Redirect(w, r, "/error?error=redirect_mismatch", http.StatusFound)
	case !live:
		http.Redirect(w, r, "/login?"+r.URL.RawQuery, http.StatusFound)
	default:
		http.Redirect(w, r, q.Get("redirect_uri"), http.StatusFound)
	}
}

// logout implements Cognito's "Logout endpoint": logout_uri takes precedence over
// redirect_uri and must equal a registered URL. id_token_hint and
// post_logout_redirect_uri are ignored.
func (s *Server) logout(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s.mu.Lock()
	registered := q.Get("client_id") == s.opts.ClientID &&
		(slices.Contains(s.logouts, q.Get("logout_uri")) ||
			!q.Has("logout_uri") && slices.Contains(s.callbacks, q.Get("redirect_uri")))
	if registered {
		delete(s.browsers, cookieValue(r))
	}
	s.mu.Unlock()
	switch {
	case !q.Has("client_id"):
		errorText(w, "Required String parameter 'client_id' is not present")
	case !q.Has("logout_uri") && !q.Has("redirect_uri"):
		errorText(w, "Required String parameter 'redirect_uri' is not present")
	case !registered:
		errorText(w, "An error was encountered with the requested page.")
	default:
		http.SetCookie(w, &http.Cookie{Name: hostedCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true})
		target := q.Get("logout_uri")
		if target == "" {
			target = "/login?" + r.URL.RawQuery
		}
		http.Redirect(w, r, target, http.StatusFound)
	}
}

func errorPage(w http.ResponseWriter, r *http.Request) {
	errorText(w, r.URL.Query().Get("error")+", "+describe(r.URL.Query()))
}

func errorText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/html;charset=UTF-8")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = fmt.Fprintf(w, "<!doctype html><title>Error</title><p>%s</p><!-- %s -->", html.EscapeString(text), Canary)
}
