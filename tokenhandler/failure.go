package tokenhandler

import (
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"time"

	"cognito-token-handler/tokenhandler/web"
)

// failure is a login that failed.
type failure struct {
	// code is from the service's fixed list. Text of the provider must not reach the
	// page: another product had an XSS by that (CVE-2021-32702).
	code     string
	returnTo string
	err      error
	// retryAfter is how long to wait before a new try, or 0.
	retryAfter time.Duration
}

// fail shows the failure to the user: on the app's page Config.ErrorPath, or on a page
// of the service.
func (h *loginHandler) fail(w http.ResponseWriter, r *http.Request, f failure) {
	h.cfg.Metrics.Logins.WithLabelValues(f.code).Inc()
	h.cfg.Log.WarnContext(r.Context(), "login failed", "reason", f.code, "error", f.err.Error(), "request_id", web.RequestID(r),
		"client_ip", h.cfg.Site.ClientAddress(r), "user_agent", web.UserAgent(r))
	if h.cfg.ErrorPath != "" {
		query := url.Values{"error": {f.code}, "request_id": {web.RequestID(r)}}
		h.cfg.Site.Redirect(w, http.StatusSeeOther, h.cfg.ErrorPath+"?"+query.Encode())
		return
	}
	retry := h.cfg.Path + "/login"
	if f.returnTo != "" && f.returnTo != "/" {
		retry += "?" + url.Values{"return_to": {f.returnTo}}.Encode()
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	status := failureStatus(f.code)
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		maps.Copy(header, web.NewProblem(web.Code(f.code), "", nil).RetryAfter(f.retryAfter).Header)
	}
	w.WriteHeader(status)
	_ = failurePage.Execute(w, map[string]string{
		"Text": failureText(f.code), "Code": f.code, "RequestID": web.RequestID(r), "Retry": retry,
	})
}

func failureStatus(code string) int {
	switch code {
	case "access_denied":
		return http.StatusForbidden
	case "login_failed", "login_required", "invalid_request":
		return http.StatusBadRequest
	}
	return (&web.Problem{Code: web.Code(code)}).Status()
}

func failureText(code string) string {
	switch code {
	case "access_denied":
		return "The sign-in was cancelled or not allowed."
	case "login_required":
		return "You are not signed in at the identity provider."
	case string(web.CodeProviderUnavailable), string(web.CodeRateLimited):
		return "The identity provider cannot be reached right now."
	case string(web.CodeProviderError):
		return "The identity provider's answer could not be used."
	case string(web.CodeSessionTooLarge):
		return "Your account holds more data than a session can carry. Please tell the operator."
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
