//go:build e2e

package browser_test

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack"
	"cognito-token-handler/test/devstack/process"
)

// TestForeignAppLogsIn: a page on another port, whose server passes the calls on as Vite's does, and a page on a third port that calls across origins.
func TestForeignAppLogsIn(t *testing.T) {
	var target *url.URL
	pass := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/auth/") || strings.HasPrefix(r.URL.Path, "/api/") {
			pass.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<!DOCTYPE html><title>foreign</title>"))
	})
	app, other := localhost(t, page), localhost(t, page)
	w := newWorld(t, devstack.Options{Apps: []string{app, other}})
	target, _ = url.Parse(w.stack.URL)
	tab := w.tab()
	tab.do("opening", chromedp.Navigate(app+"/auth/login?return_to=/notes"))
	tab.finishLogin(cognitolocal.DemoUser, cognitolocal.DemoPassword)
	tab.wait("document.title === 'foreign' && location.href === '" + app + "/notes'")
	if got := run[int](tab, "fetch('/api/me').then((answer) => answer.status)"); got != http.StatusOK {
		t.Errorf("the API: %d", got)
	}
	tab.do("opening", chromedp.Navigate(other+"/"))
	if got := run[bool](tab, "fetch('"+app+"/auth/session', {credentials: 'include'}).then((answer) => answer.json()).then((session) => session.authenticated)"); !got {
		t.Error("the page on the third port is not logged in")
	}
	tab.do("opening", chromedp.Navigate(app+"/auth/login?return_to="+url.QueryEscape(other+"/done")))
	tab.finishLogin(cognitolocal.DemoUser, cognitolocal.DemoPassword)
	tab.wait("document.title === 'foreign' && location.href === '" + other + "/done'")
}

// localhost serves at a name, since the loopback addresses are other sites to a browser.
func localhost(t *testing.T, handler http.Handler) string {
	t.Helper()
	listener, err := process.Listen(0)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	port, err := process.Port(listener)
	if err != nil {
		t.Fatal(err)
	}
	return "http://" + process.Addr(port)
}
