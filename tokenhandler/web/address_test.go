package web_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/web"
)

// TestLoginAtAnotherAddress: the log says once that a login began at an address that is
// not public_url, and which header tells.
func TestLoginAtAnotherAddress(t *testing.T) {
	const public = "http://localhost:8080"
	for name, c := range map[string]struct {
		public, host   string
		header         http.Header
		tells, address string
	}{
		"right":                            {public, "localhost:8080", http.Header{"Sec-Fetch-Site": {"same-origin"}, "Referer": {public + "/a"}}, "", ""},
		"typed":                            {public, "localhost:8080", http.Header{"Sec-Fetch-Site": {"none"}}, "", ""},
		"a link elsewhere":                 {public, "localhost:8080", http.Header{"Sec-Fetch-Site": {"cross-site"}, "Referer": {"https://other.example/"}}, "", ""},
		"development server":               {public, "localhost:8080", http.Header{"Sec-Fetch-Site": {"same-origin"}, "Referer": {"http://localhost:5173/a?b=planted"}}, "Referer", "http://localhost:5173"},
		"its form":                         {public, "localhost:8080", http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"http://localhost:5173"}}, "Origin", "http://localhost:5173"},
		"its host":                         {public, "localhost:5173", http.Header{"Sec-Fetch-Site": {"none"}}, "Host", "http://localhost:5173"},
		"another name of the machine":      {public, "127.0.0.1:8080", nil, "Host", "http://127.0.0.1:8080"},
		"in production":                    {publicOrigin, "app.example.com", http.Header{"Sec-Fetch-Site": {"same-origin"}, "Referer": {"https://www.example.com/"}}, "Referer", "https://www.example.com"},
		"a proxy that changes Host":        {publicOrigin, "10.0.0.7:8080", http.Header{"Sec-Fetch-Site": {"same-origin"}, "Referer": {publicOrigin + "/"}}, "", ""},
		"an allowed origin":                {publicOrigin, "app.example.com", http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"https://admin.example.com:8443"}}, "", ""},
		"no URL":                           {publicOrigin, "app.example.com", http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {"null"}, "Referer": {"::"}}, "", ""},
		"a machine in the network":         {public, "10.0.0.7:8080", nil, "", ""},
		"a name of another machine":        {public, "app.example.com", nil, "", ""},
		"a proxy on a developer's machine": {publicOrigin, "localhost:8080", nil, "", ""},
	} {
		var log testkit.Log
		cfg := siteConfig(t, &log)
		cfg.PublicURL = mustParse(t, c.public)
		site := web.NewSite(cfg)
		for range 2 {
			r := request(t, "GET", "/auth/login", c.header)
			r.Host = c.host
			site.WarnOfOtherAddress(r)
		}
		records := log.Records(t)
		if c.tells == "" {
			if len(records) != 0 {
				t.Errorf("%s: logged %v", name, records)
			}
			continue
		}
		if len(records) != 1 || records[0]["level"] != "WARN" || records[0]["header"] != c.tells || records[0]["address"] != c.address ||
			records[0]["public_url"] != c.public || log.Contains("planted") {
			t.Errorf("%s: logged %v", name, records)
		}
	}
}

// TestOtherAddressesAreBounded: a client that makes up addresses cannot fill the log.
func TestOtherAddressesAreBounded(t *testing.T) {
	var log testkit.Log
	site := web.NewSite(siteConfig(t, &log))
	for i := range 100 {
		site.WarnOfOtherAddress(request(t, "GET", "/auth/login", http.Header{
			"Sec-Fetch-Site": {"same-origin"}, "Referer": {"https://" + strings.Repeat("x", 1000) + strconv.Itoa(i) + ".example/"},
		}))
	}
	if records := log.Records(t); len(records) != 8 || len(log.String()) > 8*600 {
		t.Errorf("%d records, %d bytes", len(records), len(log.String()))
	}
}

// TestNoAppHere: on a developer's machine the 404 says what may be wrong, elsewhere not.
func TestNoAppHere(t *testing.T) {
	for public, want := range map[string]bool{"http://localhost:8080": true, "http://127.0.0.1:8080": true, "http://[::1]": true, "http://10.0.0.7:8080": false, publicOrigin: false} {
		cfg := siteConfig(t, t.Output())
		cfg.PublicURL = mustParse(t, public)
		rec := serve(web.NewSite(cfg).NoAppHere(), request(t, "GET", "/", nil))
		if got := strings.Contains(rec.Body.String(), "which is public_url"); rec.Code != http.StatusNotFound || got != want {
			t.Errorf("%s: %d %s", public, rec.Code, rec.Body)
		}
	}
}

// TestLoginURLOfOtherOrigins: a page of another origin gets a login_url that leads to the
// service, and not to its own origin.
func TestLoginURLOfOtherOrigins(t *testing.T) {
	site := newSite(t)
	for origin, want := range map[string]string{
		"": "/auth/login", publicOrigin: "/auth/login", "https://evil.example": "/auth/login",
		"https://admin.example.com:8443": publicOrigin + "/auth/login",
	} {
		r := request(t, "GET", "/api/x", http.Header{"Origin": {origin}})
		if origin == "" {
			r.Header.Del("Origin")
		}
		rec := serve(site.Handle(func(http.ResponseWriter, *http.Request) error {
			return web.NewProblem(web.CodeSessionExpired, "", nil)
		}), r)
		if got := body(t, rec)["login_url"]; got != want || site.LoginURL(r) != want {
			t.Errorf("%q: login_url is %v, want %s", origin, got, want)
		}
	}
}
