package tokenhandler

import (
	"cmp"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"time"

	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/web"
)

// failure is a login that failed.
type failure struct {
	// code is from the service's fixed list. Text of the provider must not reach the
	// page: another product had an XSS by that (CVE-2021-32702).
	code string
	// outcome is the label of the metric, if it is not code.
	outcome string
	// login is the login that failed; the zero value if it is not known.
	login login
	err   error
	// description is the provider's, for the log.
	description string
	// message is for the app's page, which must show it as text.
	message string
	// retryAfter is how long to wait before a new try, or 0.
	retryAfter time.Duration
}

// known reports whether the login that failed is one of this browser.
func (f failure) known() bool { return f.login.State != "" }

// fail shows the failure to the user: on the app's page Config.ErrorPath, or on a page
// of the service.
func (h *loginHandler) fail(w http.ResponseWriter, r *http.Request, f failure) {
	h.cfg.Metrics.Logins.WithLabelValues(cmp.Or(f.outcome, f.code)).Inc()
	attrs := append([]any{"reason", f.code, "error", f.err.Error()}, h.cfg.Site.CallerOf(r).Attrs()...)
	h.cfg.Audit.Note(r.Context(), audit.Event{Name: audit.LoginFailed, Failed: true, Anonymous: true, Cause: cmp.Or(f.outcome, f.code), Caller: h.cfg.Site.CallerOf(r), RequestedIdentityProvider: f.login.identityProvider()})
	if f.description != "" {
		attrs = append(attrs, "description", f.description)
	}
	h.cfg.Log.WarnContext(r.Context(), "login failed", attrs...)
	if f.code == string(web.CodeRateLimited) {
		web.NoteProblem(r, providerProblem(f.err))
	}
	h.show(w, r, f)
}

// limited shows that a limit has refused the request. err is that of the limit, which is
// counted and recorded as such, and not as a failed login. l is the login, if it is known.
func (h *loginHandler) limited(w http.ResponseWriter, r *http.Request, l login, err error) {
	p := web.AsProblem(err)
	h.cfg.Metrics.Logins.WithLabelValues(string(p.Code)).Inc()
	web.NoteProblem(r, p)
	h.show(w, r, failure{code: string(p.Code), login: l, err: p})
}

// failMadeUp fails a callback that nobody sends in number who only logs in. After too many
// of them it shows that the limit has refused it: with 429, or on Config.ErrorPath. Other
// callbacks of a login go on: another user of the same network may have sent these.
func (h *loginHandler) failMadeUp(w http.ResponseWriter, r *http.Request, f failure) {
	if err := h.cfg.Limits.Callback.TakeClient(r); err != nil {
		h.limited(w, r, f.login, err)
		return
	}
	h.fail(w, r, f)
}

// show answers with the page of a failure.
func (h *loginHandler) show(w http.ResponseWriter, r *http.Request, f failure) {
	if h.cfg.ErrorPath != "" {
		h.cfg.Site.Redirect(w, http.StatusSeeOther, h.errorPage(w, r, f))
		return
	}
	retry := h.cfg.Path + "/login"
	if again := f.login.parameters(); len(again) > 0 {
		retry += "?" + again.Encode()
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	status := failureStatus(f.code)
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		p := web.AsProblem(f.err)
		if p.Header.Get("Retry-After") == "" {
			p = web.NewProblem(web.Code(f.code), "", nil).RetryAfter(f.retryAfter)
		}
		maps.Copy(header, p.Header)
	}
	w.WriteHeader(status)
	_ = failurePage.Execute(w, map[string]string{
		"Text": failureText(f), "Code": f.code, "RequestID": web.RequestID(r), "Retry": retry,
	})
}

// errorPage returns the app's page with the parameters of a failure, and with those of
// a new try. What would make the head of the answer larger than proxies accept is left
// out.
func (h *loginHandler) errorPage(w http.ResponseWriter, r *http.Request, f failure) string {
	query := url.Values{"error": {f.code}, "request_id": {web.RequestID(r)}}
	more := f.login.parameters()
	if f.message != "" {
		more.Set("message", f.message)
	}
	room := maxHead - headBytes(w.Header()) - len(h.cfg.ErrorPath)
	for _, name := range []string{"message", "return_to", "identity_provider", "idp_identifier", "lang", "login_hint", "prompt", "max_age"} {
		if !more.Has(name) {
			continue
		}
		query.Set(name, more.Get(name))
		if len(query.Encode()) > room {
			query.Del(name)
		}
	}
	return h.cfg.ErrorPath + "?" + query.Encode()
}

// parameters are those with which /login tries again. They are well-formed: they come
// from the login's sealed cookie.
func (l login) parameters() url.Values {
	values := url.Values{}
	if l.ReturnTo != "" && l.ReturnTo != "/" {
		values.Set("return_to", l.ReturnTo)
	}
	for name, value := range l.Extra {
		if name != "prompt" || value != "none" { // which would fail again
			values.Set(name, value)
		}
	}
	return values
}

func failureStatus(code string) int {
	switch code {
	case codeAccessDenied, codeUserDisabled, codeTriggerRefused:
		return http.StatusForbidden
	case codeLoginFailed, codeLoginRequired, codeAccountLinked, "invalid_request":
		return http.StatusBadRequest
	}
	return (&web.Problem{Code: web.Code(code)}).Status()
}

func failureText(f failure) string {
	switch f.code {
	case codeAccessDenied:
		return "The sign-in was cancelled or not allowed."
	case codeUserDisabled:
		return "Your account is disabled."
	case codeTriggerRefused:
		return "The sign-in was refused by a rule of this app."
	case codeAccountLinked:
		return "Your account was linked with another one. Please sign in again."
	case codeLoginRequired:
		return "You are not signed in at the identity provider."
	case string(web.CodeRateLimited):
		return "Too many sign-ins at the moment. Please wait a little and try again."
	case string(web.CodeProviderUnavailable):
		return "The identity provider cannot be reached right now."
	case string(web.CodeProviderError):
		return "The identity provider could not complete the sign-in, or its answer could not be used. If that happens again, please tell the operator."
	case string(web.CodeAuditUnavailable):
		return "Nobody can sign in right now. Please try again later."
	case string(web.CodeSessionTooLarge):
		return "Your account holds more data than a session can carry. Please tell the operator."
	}
	if f.known() {
		return "The sign-in could not be completed. Please try again."
	}
	return "The sign-in could not be completed. It may have taken too long, or cookies are blocked."
}

//nolint:gochecknoglobals // parsed once
var failurePage = template.Must(template.New("").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Sign-in failed</title>
<h1>Sign-in failed</h1>
<p>{{.Text}}</p>
<p><a href="{{.Retry}}">Try again</a></p>
<p><small>{{.Code}}{{with .RequestID}}, request {{.}}{{end}}</small></p>
</html>
`))
