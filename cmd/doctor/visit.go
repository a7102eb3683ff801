package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"cognito-token-handler/tokenhandler/cognito"
)

// maxHops is how many redirects of a provider are followed. Cognito makes two.
const maxHops = 5

// landing is where a page of the provider leads.
type landing struct {
	status int
	// returned reports whether it redirects to the app.
	returned bool
	// errorPage reports whether it is the provider's page for errors.
	errorPage bool
	// code and description are the error that came along; both are text of the provider's.
	code, description string
}

// isError reports whether the provider refused the request without going back to the app.
func (l landing) isError() bool {
	return l.errorPage || l.status >= http.StatusBadRequest && l.status < http.StatusInternalServerError
}

// refusal says how the provider refused, without its text, except for the description,
// which is quoted.
func (l landing) refusal() string {
	text := fmt.Sprintf("it answers %d", l.status)
	if l.code != "" {
		text = "it answers " + pageCode(l.code)
	}
	if l.description != "" {
		text += ", " + quoted(l.description)
	}
	return text
}

// pageCode returns an error code that is known, else "an unknown error".
func pageCode(code string) string {
	if code == "redirect_mismatch" {
		return code
	}
	if known := cognito.ErrorCode(code); known != "other" {
		return known
	}
	return "an unknown error"
}

// visit requests a page of the provider as a browser would. It follows redirects within
// the provider's host, and none to the app's URL back or anywhere else.
func (d *doctor) visit(ctx context.Context, address, back string) (landing, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Call)
	defer cancel()
	app, err := url.Parse(back)
	if err != nil {
		return landing{}, fmt.Errorf("parsing a URL: %w", err)
	}
	var end landing
	for range maxHops {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
		if err != nil {
			return landing{}, fmt.Errorf("requesting a page: %w", err)
		}
		r.Header.Set("Accept", "text/html")
		answer, err := d.web.RoundTrip(r)
		if err != nil {
			return landing{}, &url.Error{Op: "Get", URL: "", Err: err} // the URL is long
		}
		_ = answer.Body.Close()
		end = landAt(end, r.URL, answer.StatusCode)
		to := redirectOf(answer)
		if to == nil {
			return end, nil
		}
		if sameTarget(to, app) {
			end.returned, end.code, end.description = true, to.Query().Get("error"), to.Query().Get("error_description")
			return end, nil
		}
		if to.Host != r.URL.Host || to.Scheme != r.URL.Scheme {
			return end, nil // to an identity provider, say
		}
		address = to.String()
	}
	return end, nil
}

// redirectOf returns where an answer redirects to, or nil if it does not.
func redirectOf(answer *http.Response) *url.URL {
	if answer.StatusCode < http.StatusMultipleChoices || answer.StatusCode >= http.StatusBadRequest {
		return nil
	}
	to, err := answer.Location()
	if err != nil {
		return nil
	}
	return to
}

// landAt notes that a page at u answered.
func landAt(end landing, u *url.URL, status int) landing {
	end.status = status
	if strings.HasSuffix(u.Path, "/error") {
		end.errorPage, end.code, end.description = true, u.Query().Get("error"), u.Query().Get("error_description")
	}
	return end
}

// sameTarget reports whether a redirect leads to the app's URL.
func sameTarget(to, app *url.URL) bool {
	return to.Scheme == app.Scheme && to.Host == app.Host && strings.TrimSuffix(to.Path, "/") == strings.TrimSuffix(app.Path, "/")
}
