package useragent_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"cognito-token-handler/test/useragent"
)

func TestFetchMetadata(t *testing.T) {
	app, other := newSite(t), newSite(t)
	home, foreign := localhost(app), other.URL
	otherPort := localhost(other)
	for _, c := range []struct {
		name string
		do   func(*useragent.UA) *useragent.Response
		want string // Sec-Fetch-Site, -Mode, -Dest, -User, Origin
	}{
		{"typed", func(ua *useragent.UA) *useragent.Response { return ua.Navigate("/") }, "none navigate document ?1 -"},
		{"own link", func(ua *useragent.UA) *useragent.Response { return ua.Click("/") }, "same-origin navigate document ?1 -"},
		{"own script", func(ua *useragent.UA) *useragent.Response {
			return ua.Open(useragent.Navigation{URL: "/", From: home, Script: true})
		}, "same-origin navigate document - -"},
		{"own form", func(ua *useragent.UA) *useragent.Response {
			return ua.SubmitForm("/", url.Values{"a": {"b"}})
		}, "same-origin navigate document ?1 " + home},
		{"own form on a page without referrer", func(ua *useragent.UA) *useragent.Response {
			ua.Navigate(do("", "header", "Referrer-Policy: no-referrer"))
			return ua.SubmitForm("/", nil)
		}, "same-origin navigate document ?1 null"},
		{"foreign link", func(ua *useragent.UA) *useragent.Response { return ua.NavigateFrom(foreign, "/") }, "cross-site navigate document ?1 -"},
		{"foreign form", func(ua *useragent.UA) *useragent.Response { return ua.SubmitFormFrom(foreign, "/", nil) }, "cross-site navigate document ?1 " + foreign},
		{"link of another port", func(ua *useragent.UA) *useragent.Response { return ua.NavigateFrom(otherPort, "/") }, "same-site navigate document ?1 -"},
		{"typed, through another site", func(ua *useragent.UA) *useragent.Response {
			return ua.Navigate(do("", "to", do(foreign, "to", home+"/")))
		}, "none navigate document ?1 -"},
		{"own link, through another site and back", func(ua *useragent.UA) *useragent.Response {
			return ua.Click(do("", "to", do(foreign, "to", home+"/")))
		}, "cross-site navigate document ?1 -"},
		{"own link, through another port and back", func(ua *useragent.UA) *useragent.Response {
			return ua.Click(do("", "to", do(otherPort, "to", home+"/")))
		}, "same-site navigate document ?1 -"},
		{"own form, 307 through another site and back", func(ua *useragent.UA) *useragent.Response {
			return ua.SubmitForm(do("", "status", "307", "to", do(foreign, "status", "307", "to", home+"/")), nil)
		}, "cross-site navigate document ?1 null"},
		{"own GET", func(ua *useragent.UA) *useragent.Response { return ua.Fetch("GET", "/", "") }, "same-origin cors empty - -"},
		{"own DELETE", func(ua *useragent.UA) *useragent.Response { return ua.Fetch("DELETE", "/", "") }, "same-origin cors empty - " + home},
		{"own image", func(ua *useragent.UA) *useragent.Response {
			return ua.Fetch("GET", "/", "", useragent.FetchOptions{Mode: "no-cors", Dest: "image"})
		}, "same-origin no-cors image - -"},
		{"foreign GET", func(ua *useragent.UA) *useragent.Response { return ua.FetchFrom(foreign, "GET", "/", "") }, "cross-site cors empty - " + foreign},
		{"foreign image", func(ua *useragent.UA) *useragent.Response {
			return ua.FetchFrom(foreign, "GET", "/", "", useragent.FetchOptions{Mode: "no-cors", Dest: "image"})
		}, "cross-site no-cors image - -"},
		{"GET of another port", func(ua *useragent.UA) *useragent.Response { return ua.FetchFrom(otherPort, "GET", "/", "") }, "same-site cors empty - " + otherPort},
	} {
		t.Run(c.name, func(t *testing.T) {
			ua, _ := newAgent(t, home)
			res := c.do(ua)
			var got []string
			for _, name := range []string{"Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-User", "Origin"} {
				value := res.Sent.Get(name)
				if value == "" {
					value = "-"
				}
				got = append(got, value)
			}
			if joined := strings.Join(got, " "); joined != c.want {
				t.Errorf("sent %q, want %q; %v", joined, c.want, res.Err)
			}
		})
	}
}

func TestNoFetchMetadataToInsecureOrigins(t *testing.T) {
	ua, _ := newAgent(t, "http://app.example.com")
	ua.SetTransport(byName{newSite(t)})
	if got := ua.Navigate("/").Sent.Get("Sec-Fetch-Site"); got != "" {
		t.Errorf("Sec-Fetch-Site: %s", got)
	}
}

func TestRedirects(t *testing.T) {
	srv := newSite(t)
	home := localhost(srv)
	ua, _ := newAgent(t, home)
	res := ua.NavigateNoFollow(do("", "to", "/next"))
	if res.Status != 302 || res.Location() != home+"/next" || ua.URL() != "" {
		t.Errorf("%d to %s, page %s", res.Status, res.Location(), ua.URL())
	}
	res = ua.Navigate(do("", "to", "/next"))
	if res.Status != 200 || len(res.Via) != 1 || ua.URL() != home+"/next" {
		t.Errorf("%d via %d, page %s", res.Status, len(res.Via), ua.URL())
	}
	if res = ua.SubmitForm(do("", "to", "/next"), url.Values{"a": {"b"}}); res.Method != http.MethodGet {
		t.Errorf("302 kept %s", res.Method)
	}
	if res = ua.SubmitForm(do("", "status", "307", "to", "/next"), url.Values{"a": {"b"}}); res.Method != http.MethodPost {
		t.Errorf("307 made it %s", res.Method)
	}
}

func TestEndlessRedirectsEnd(t *testing.T) {
	ua, _ := newAgent(t, "http://app.example.com")
	ua.SetTransport(loop{})
	res := ua.Navigate("/")
	if res.Err == nil || len(res.Via) != 20 {
		t.Errorf("%d redirects, %v", len(res.Via), res.Err)
	}
}

func TestCORS(t *testing.T) {
	srv := newSite(t)
	home := localhost(srv)
	const friend = "https://friend.example"
	allow := []string{"header", "Access-Control-Allow-Origin: " + friend, "header", "Access-Control-Allow-Credentials: true"}
	for _, c := range []struct {
		name         string
		instructions []string
		method       string
		header       map[string]string
		sent, read   bool
	}{
		{"nothing allowed", nil, "GET", nil, true, false},
		{"allowed", allow, "GET", nil, true, true},
		{"any origin, with credentials", []string{"header", "Access-Control-Allow-Origin: *"}, "GET", nil, true, false},
		{"simple POST", nil, "POST", nil, true, false},
		{"own header, preflight refused", allow, "GET", map[string]string{"X-CSRF": "1"}, false, false},
		{"own header, preflight passed", append([]string{"header", "Access-Control-Allow-Headers: x-csrf"}, allow...), "GET", map[string]string{"X-CSRF": "1"}, true, true},
		{"DELETE, preflight refused", allow, "DELETE", nil, false, false},
		{"JSON, preflight refused", allow, "POST", map[string]string{"Content-Type": "application/json"}, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			ua, _ := newAgent(t, home)
			res := ua.FetchFrom(friend, c.method, do("", c.instructions...), "", useragent.FetchOptions{Header: c.header})
			if sent := res.Status != 0; sent != c.sent {
				t.Errorf("sent: %v, want %v", sent, c.sent)
			}
			if read := !res.Blocked && res.Err == nil; read != c.read {
				t.Errorf("readable: %v, want %v; %v", read, c.read, res.Err)
			}
		})
	}
}

func TestScriptVisible(t *testing.T) {
	app, other := newSite(t), newSite(t)
	home := localhost(app)
	ua, _ := newAgent(t, home)
	ua.Navigate(do("", "set", "hidden=planted-cookie; HttpOnly", "header", "X-Planted: planted-header"))
	ua.Navigate(do("", "to", "/landing", "header", "X-Hop: planted-hop"))
	ua.Fetch("GET", "/api/planted", "")
	ua.Fetch("GET", other.URL+"/foreign/planted", "")
	ua.FetchFrom("https://evil.example", "GET", "/evil/planted", "")
	ua.FetchFrom(other.URL, "GET", other.URL+"/own/planted", "")
	var bodies []string
	for _, v := range ua.ScriptVisible() {
		if strings.HasPrefix(v.Where, "body") {
			bodies = append(bodies, v.Text)
		}
	}
	if got := strings.Join(bodies, ", "); got != "body of GET /do, body of GET /landing, body of GET /api/planted" {
		t.Errorf("bodies: %s", got)
	}
	text := ua.ScriptVisibleText()
	// The value of the cookie may appear: it is part of the address that this test requests.
	if !strings.Contains(text, ": planted-header\n") || strings.Contains(text, "X-Hop of") || strings.Contains(text, "Set-Cookie of") {
		t.Error(text)
	}
}

func TestAbort(t *testing.T) {
	ua, _ := newAgent(t, "http://app.example.com")
	arrived, abort := make(chan struct{}), make(chan struct{})
	ua.SetTransport(hang{arrived})
	done := make(chan *useragent.Response)
	go func() { done <- ua.Fetch("GET", "/", "", useragent.FetchOptions{Abort: abort}) }()
	<-arrived
	close(abort)
	if res := <-done; res.Err == nil {
		t.Error("no error")
	}
}
