package useragent_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/useragent"
)

// TestWhichCookiesAreAccepted checks the rules of RFC 6265bis (draft-ietf-httpbis-rfc6265bis)
// for size, prefixes and Domain, and of the draft "Cookies: HTTP State Management
// Mechanism" (draft-ietf-httpbis-layered-cookies) for __Http- and __Host-Http-.
func TestWhichCookiesAreAccepted(t *testing.T) {
	full := func(n int) string { return "n=" + strings.Repeat("v", n-1) }
	for _, c := range []struct {
		rule, base, raw string
		taken           bool
	}{
		{"plain", "http://localhost", "a=1", true},
		{"size: name and value of 4096", "http://localhost", full(4096) + "; Path=/; Secure; HttpOnly; SameSite=Strict", true},
		{"size: name and value of 4097", "http://localhost", full(4097), false},
		{"prefix: Secure on plain http", "http://app.example.com", "a=1; Secure", false},
		{"prefix: Secure on localhost", "http://localhost", "a=1; Secure", true},
		{"prefix: Secure on 127.0.0.1", "http://127.0.0.1", "a=1; Secure", true},
		{"prefix: __Secure- kept", "https://app.example.com", "__Secure-a=1; Secure", true},
		{"prefix: __Secure- without Secure", "https://app.example.com", "__Secure-a=1", false},
		{"prefix: __Host- kept", "https://app.example.com", "__Host-a=1; Secure; Path=/", true},
		{"prefix: __Host- on localhost", "http://localhost", "__Host-a=1; Secure; Path=/", true},
		{"prefix: __Host- without Secure", "https://app.example.com", "__Host-a=1; Path=/", false},
		{"prefix: __Host- without Path", "https://app.example.com", "__Host-a=1; Secure", false},
		{"prefix: __Host- with another Path", "https://app.example.com", "__Host-a=1; Secure; Path=/x", false},
		{"prefix: __Host- with Domain", "https://app.example.com", "__Host-a=1; Secure; Path=/; Domain=app.example.com", false},
		{"prefix: __Host- in other letters", "https://app.example.com", "__hOST-a=1; Path=/", false},
		{"prefix: __Http- kept", "https://app.example.com", "__Http-a=1; Secure; HttpOnly", true},
		{"prefix: __Http- without HttpOnly", "https://app.example.com", "__Http-a=1; Secure", false},
		{"prefix: __Host-Http- kept", "https://app.example.com", "__Host-Http-a=1; Secure; HttpOnly; Path=/", true},
		{"prefix: __Host-Http- without HttpOnly", "https://app.example.com", "__Host-Http-a=1; Secure; Path=/", false},
		{"prefix: __Host-Http- with Domain", "https://app.example.com", "__Host-Http-a=1; Secure; HttpOnly; Path=/; Domain=example.com", false},
		{"prefix: nameless cookie in disguise", "https://app.example.com", "=__Host-a=1; Secure; Path=/", false},
		{"Domain of a sibling", "https://app.example.com", "a=1; Domain=other.example.com", false},
		{"Domain of the parent", "https://app.example.com", "a=1; Domain=example.com", true},
		{"Domain of a whole suffix", "https://app.example.com", "a=1; Domain=com", false},
		{"SameSite=None without Secure", "https://app.example.com", "a=1; SameSite=None", false},
	} {
		t.Run(c.rule, func(t *testing.T) {
			srv := newSite(t)
			ua, _ := newAgent(t, c.base)
			ua.SetTransport(byName{srv})
			if res := ua.Navigate(do("", "set", c.raw)); res.Err != nil {
				t.Fatal(res.Err)
			}
			if got := len(ua.Cookies()) == 1; got != c.taken {
				t.Errorf("accepted: %v, want %v; rejected: %+v", got, c.taken, ua.Rejected())
			}
			if got := len(ua.Rejected()) == 1; got == c.taken {
				t.Errorf("recorded as rejected: %v; %+v", got, ua.Rejected())
			}
		})
	}
}

func TestOnlyTheAttributeOver1024BytesIsIgnored(t *testing.T) {
	srv := newSite(t)
	ua, _ := newAgent(t, localhost(srv))
	ua.Navigate(do("", "set", "a=1; Path=/"+strings.Repeat("p", 1024)))
	if c, ok := ua.Cookie("a"); !ok || c.Path != "/" {
		t.Errorf("%+v %v", c, ok)
	}
}

func TestExpiry(t *testing.T) {
	for _, c := range []struct {
		name, attributes string
		life             time.Duration // 0 for a session cookie
	}{
		{"session", "", 0},
		{"Max-Age", "Max-Age=60", time.Minute},
		{"Max-Age beats Expires", "Max-Age=60; Expires=Fri, 02 Jan 2026 05:04:05 GMT", time.Minute},
		{"Expires", "Expires=Fri, 02 Jan 2026 05:04:05 GMT", 2 * time.Hour},
		{"at most 400 days, Expires", "Expires=Wed, 02 Jan 2099 03:04:05 GMT", 400 * 24 * time.Hour},
		{"at most 400 days", "Max-Age=99999999999", 400 * 24 * time.Hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := newSite(t)
			ua, now := newAgent(t, localhost(srv))
			ua.Navigate(do("", "set", "a=1; "+c.attributes))
			if c.life == 0 {
				now.Advance(1000 * 24 * time.Hour)
				if _, ok := ua.Cookie("a"); !ok {
					t.Error("the session cookie expired")
				}
				return
			}
			now.Advance(c.life - time.Second)
			if !ua.Navigate("/").SentCookie("a") {
				t.Error("expired too early")
			}
			now.Advance(time.Second)
			if ua.Navigate("/").SentCookie("a") {
				t.Error("sent after it expired")
			}
		})
	}
}

// TestDeletion checks that a deletion is ignored if its attributes do not satisfy the
// prefix of the name, like every such cookie.
func TestDeletion(t *testing.T) {
	const kept = "__Host-a=1; Secure; Path=/"
	for _, c := range []struct {
		name, set, deletion string
		deleted             bool
	}{
		{"same attributes", kept, "__Host-a=; Secure; Path=/; Max-Age=0", true},
		{"negative Max-Age", kept, "__Host-a=; Secure; Path=/; Max-Age=-1", true},
		{"without Secure", kept, "__Host-a=; Path=/; Max-Age=0", false},
		{"without Path", kept, "__Host-a=; Secure; Max-Age=0", false},
		{"another Path", "a=1; Path=/", "a=; Path=/do; Max-Age=0", false},
		{"Expires in the past", "a=1; Path=/", "a=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			srv := newSite(t)
			ua, _ := newAgent(t, localhost(srv))
			ua.Navigate(do("", "set", c.set))
			ua.Navigate(do("", "set", c.deletion))
			if got := len(ua.Cookies()) == 0; got != c.deleted {
				t.Errorf("deleted: %v, want %v", got, c.deleted)
			}
		})
	}
}

// TestSameSite checks which cookies are sent with a request, depending on their SameSite.
func TestSameSite(t *testing.T) {
	app, other := newSite(t), newSite(t)
	home, foreign := localhost(app), other.URL
	all := "strict lax none unset"
	for _, c := range []struct {
		name string
		do   func(*useragent.UA) *useragent.Response
		want string
	}{
		{"typed", func(ua *useragent.UA) *useragent.Response { return ua.Navigate("/") }, all},
		{"own link", func(ua *useragent.UA) *useragent.Response { return ua.Click("/") }, all},
		{"own form", func(ua *useragent.UA) *useragent.Response { return ua.SubmitForm("/", nil) }, all},
		{"own fetch", func(ua *useragent.UA) *useragent.Response { return ua.Fetch("POST", "/", "") }, all},
		{"own fetch, credentials omit", func(ua *useragent.UA) *useragent.Response {
			return ua.Fetch("POST", "/", "", useragent.FetchOptions{Credentials: "omit"})
		}, ""},
		{"foreign link", func(ua *useragent.UA) *useragent.Response { return ua.NavigateFrom(foreign, "/") }, "lax none unset"},
		{"foreign form, unset cookie new", func(ua *useragent.UA) *useragent.Response {
			return ua.SubmitFormFrom(foreign, "/", nil)
		}, "none unset"},
		{"foreign fetch", func(ua *useragent.UA) *useragent.Response {
			return ua.FetchFrom(foreign, "GET", home+"/", "")
		}, "none"},
		{"foreign image", func(ua *useragent.UA) *useragent.Response {
			return ua.FetchFrom(foreign, "GET", home+"/", "", useragent.FetchOptions{Mode: "no-cors", Dest: "image"})
		}, "none"},
		{"another port of the host", func(ua *useragent.UA) *useragent.Response {
			return ua.FetchFrom("http://localhost:1", "GET", home+"/", "")
		}, all},
		{"typed, back from a redirect of another site", func(ua *useragent.UA) *useragent.Response {
			return ua.Navigate(do("", "to", do(foreign, "to", home+"/")))
		}, "lax none unset"},
		{"own link, back from a redirect of another site", func(ua *useragent.UA) *useragent.Response {
			return ua.Click(do("", "to", do(foreign, "to", home+"/")))
		}, "lax none unset"},
		{"the same as Chrome has it now", func(ua *useragent.UA) *useragent.Response {
			ua.IgnoreRedirectChain(true)
			return ua.Click(do("", "to", do(foreign, "to", home+"/")))
		}, all},
		{"foreign link, Chrome too", func(ua *useragent.UA) *useragent.Response {
			ua.IgnoreRedirectChain(true)
			return ua.NavigateFrom(foreign, do("", "to", "/"))
		}, "lax none unset"},
		{"chain that began on another site", func(ua *useragent.UA) *useragent.Response {
			return ua.Navigate(do(foreign, "to", home+"/"))
		}, "lax none unset"},
		{"declared as one site", func(ua *useragent.UA) *useragent.Response {
			ua.SetSite("localhost", "one")
			ua.SetSite("127.0.0.1", "one")
			return ua.NavigateFrom(foreign, "/")
		}, all},
		{"another port declared as another site", func(ua *useragent.UA) *useragent.Response {
			ua.SetSite("localhost:1", "elsewhere")
			return ua.NavigateFrom("http://localhost:1", "/")
		}, "lax none unset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ua, _ := newAgent(t, home)
			ua.Navigate(do("",
				"set", "strict=1; Path=/; SameSite=Strict", "set", "lax=1; Path=/; SameSite=Lax",
				"set", "none=1; Path=/; SameSite=None; Secure", "set", "unset=1; Path=/"))
			var got []string
			res := c.do(ua)
			for name := range strings.FieldsSeq(all) {
				if res.SentCookie(name) {
					got = append(got, name)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("sent %v, want %s; %v", got, c.want, res.Err)
			}
		})
	}
}

func TestCookiesWithoutSameSiteAreSentWithCrossSiteFormsForTwoMinutes(t *testing.T) {
	srv := newSite(t)
	ua, now := newAgent(t, localhost(srv))
	ua.Navigate(do("", "set", "unset=1; Path=/"))
	now.Advance(2 * time.Minute)
	if ua.SubmitFormFrom("https://evil.example", "/", nil).SentCookie("unset") {
		t.Error("sent after two minutes")
	}
}

func TestSetFromAnotherSite(t *testing.T) {
	srv := newSite(t)
	ua, _ := newAgent(t, localhost(srv))
	ua.FetchFrom("https://evil.example", "GET", do("", "set", "fetched=1; SameSite=Lax"), "")
	ua.NavigateFrom("https://evil.example", do("", "set", "navigated=1; SameSite=Strict"))
	if _, ok := ua.Cookie("fetched"); ok {
		t.Error("a cross-site fetch set a SameSite cookie")
	}
	if _, ok := ua.Cookie("navigated"); !ok {
		t.Error("a cross-site navigation may set a Strict cookie, and did not")
	}
}

func TestCookiesAreSharedByPortsAndNotByHosts(t *testing.T) {
	a, b := newSite(t), newSite(t)
	ua, _ := newAgent(t, localhost(a))
	ua.Navigate(do("", "set", "a=1; Path=/"))
	if !ua.Navigate(localhost(b) + "/").SentCookie("a") {
		t.Error("not sent to another port")
	}
	if ua.Navigate(b.URL + "/").SentCookie("a") {
		t.Error("sent to another host")
	}
}

// TestSecureCookiesAreNotReplaced checks that an attacker who controls only plain HTTP
// responses cannot replace the session cookie of https.
func TestSecureCookiesAreNotReplaced(t *testing.T) {
	srv := newSite(t)
	ua, _ := newAgent(t, "https://app.example.com")
	ua.SetTransport(byName{srv})
	ua.Navigate(do("", "set", "a=secure; Secure; Path=/"))
	ua.Navigate(do("http://app.example.com", "set", "a=tossed; Path=/"))
	ua.Navigate(do("http://evil.example.com", "set", "a=tossed; Path=/; Domain=example.com"))
	if c := ua.Cookies(); len(c) != 1 || c[0].Value != "secure" {
		t.Errorf("%+v", c)
	}
}

func TestScriptsAndHTTPOnly(t *testing.T) {
	srv := newSite(t)
	ua, _ := newAgent(t, localhost(srv))
	ua.Navigate(do("", "set", "kept=server; HttpOnly; Path=/"))
	for _, raw := range []string{"kept=script; Path=/", "new=1; HttpOnly", "__Http-a=1; Secure", "control=\x01", "ok=1; Path=/"} {
		ua.DocumentCookie(raw)
	}
	if c, _ := ua.Cookie("kept"); c.Value != "server" {
		t.Errorf("a script wrote %q", c.Value)
	}
	if got := fmt.Sprint(len(ua.Cookies()), len(ua.Rejected())); got != "2 4" {
		t.Errorf("cookies and rejections: %s; %+v", got, ua.Rejected())
	}
	visible := ua.ScriptVisibleText()
	if strings.Contains(visible, "server\n") || !strings.Contains(visible, "ok=1") {
		t.Errorf("visible: %s", visible)
	}
}

func TestTamperingAndTabs(t *testing.T) {
	srv := newSite(t)
	ua, _ := newAgent(t, localhost(srv))
	ua.Navigate(do("", "set", "__Host-a=1; Secure; HttpOnly; Path=/; SameSite=Strict"))
	ua.SetCookie(useragent.Cookie{Name: "__Host-a", Value: "tampered"})
	c, _ := ua.Tab().Cookie("__Host-a")
	if c.Value != "tampered" || !c.HTTPOnly || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("%+v", c)
	}
	if ua.DeleteCookie("__Host-a") != 1 || len(ua.Cookies()) != 0 {
		t.Error("not deleted")
	}
	ua.SetCookie(useragent.Cookie{Name: "planted", Value: "x"})
	if !ua.Clone().Fetch("GET", "/", "").SentCookie("planted") {
		t.Error("a planted cookie is not sent")
	}
	ua.Navigate(do("", "header", `Clear-Site-Data: "cookies"`))
	if len(ua.Cookies()) != 0 {
		t.Error("Clear-Site-Data cleared nothing")
	}
}

func TestConcurrentUse(t *testing.T) {
	srv := newSite(t)
	ua, _ := newAgent(t, localhost(srv))
	done := make(chan *useragent.Response)
	for i := range 20 {
		go func() { done <- ua.Tab().Fetch("GET", do("", "set", fmt.Sprintf("c%d=1; Path=/", i)), "") }()
	}
	for range 20 {
		if res := <-done; res.Err != nil || res.Status != http.StatusOK {
			t.Error(res.Status, res.Err)
		}
	}
	if got := len(ua.Cookies()); got != 20 {
		t.Errorf("%d cookies", got)
	}
	if u, err := url.Parse(ua.URL()); err != nil || u.String() != "" {
		t.Errorf("a fetch moved the page to %s", ua.URL())
	}
}
