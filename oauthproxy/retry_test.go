package oauthproxy_test

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/tokenhandler/web"
)

// refusingUpstream starts an API that accepts only the renewed token. It reads the body
// before it responds.
func refusingUpstream(t *testing.T) *upstream {
	t.Helper()
	return newUpstream(t, refuse(true))
}

// refuse accepts only the renewed token. With readsBody it reads the body before it responds.
func refuse(readsBody bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var body []byte
		if readsBody || r.Header.Get("Authorization") == "Bearer renewed" {
			body, _ = io.ReadAll(r.Body)
		}
		if r.Header.Get("Authorization") != "Bearer renewed" {
			w.Header().Set("X-Refusal", "upstream's own")
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, "token of an old key")
			return
		}
		_, _ = w.Write(body)
	}
}

func renewing(calls *atomic.Int32) func() (string, error) {
	return func() (string, error) { calls.Add(1); return "renewed", nil }
}

func (u *upstream) tokens() []string {
	var all []string
	for _, r := range u.requests() {
		all = append(all, r.Header.Get("Authorization"))
	}
	return all
}

func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	const kept = 64
	for name, c := range map[string]struct {
		method, body string
		chunked      bool
		again        bool
	}{
		"GET":                      {http.MethodGet, "", false, true},
		"HEAD":                     {http.MethodHead, "", false, true},
		"POST without a body":      {http.MethodPost, "", false, true},
		"PUT, short":               {http.MethodPut, "short", false, true},
		"PUT, as long as is kept":  {http.MethodPut, strings.Repeat("x", kept), false, true},
		"DELETE, short":            {http.MethodDelete, "short", false, true},
		"PUT, too long to be kept": {http.MethodPut, strings.Repeat("x", kept+1), false, false},
		"PUT, of unknown length":   {http.MethodPut, "short", true, false},
		"POST, short":              {http.MethodPost, "short", false, false}, // sending it twice could have an effect twice
		"PATCH, short":             {http.MethodPatch, "short", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			up := refusingUpstream(t)
			route := api(t, up.URL)
			route.ReplayBody = kept
			p := newProxy(t, route)
			var renewals atomic.Int32
			p.tokens.renew = renewing(&renewals)
			body := io.Reader(http.NoBody)
			if c.body != "" {
				body = strings.NewReader(c.body)
			}
			r := p.request(t, c.method, "/api/x", body)
			if c.chunked {
				r.ContentLength = -1
			}
			got := p.do(t, r)
			want := []string{"Bearer " + accessToken}
			if c.again {
				want = append(want, "Bearer renewed")
			}
			if !slices.Equal(up.tokens(), want) || int(renewals.Load()) != len(want)-1 {
				t.Errorf("the upstream saw %q after %d renewals", up.tokens(), renewals.Load())
			}
			counts := counted(t, p, "tokenhandler_proxy_retries_total")
			if c.again {
				if got.StatusCode != http.StatusOK || c.method != http.MethodHead && got.body != c.body || len(counts) != 1 {
					t.Errorf("answered %d %q, counted %v", got.StatusCode, got.body, counts)
				}
				wantCookie(t, got)
				return
			}
			if got.StatusCode != http.StatusUnauthorized || got.body != "token of an old key" || len(counts) != 0 {
				t.Errorf("answered %d %q, counted %v", got.StatusCode, got.body, counts)
			}
		})
	}
}

// With Expect: 100-continue the client has not sent its body yet when the upstream
// refuses the token, so even a long POST can be sent again.
func TestUnreadBodyIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // net/http waits a second for the upstream's answer, and then sends the body
		p := overHTTP1.inMemory(t, within, refuse(false))
		var renewals atomic.Int32
		p.tokens.renew = renewing(&renewals)
		body := strings.Repeat("x", 1<<20)
		r := p.request(t, http.MethodPost, "/api/x", strings.NewReader(body), "Expect", "100-continue")
		if got := p.do(t, r); got.StatusCode != http.StatusOK || got.body != body || renewals.Load() != 1 {
			t.Errorf("answered %d with %d bytes after %d renewals\n%s", got.StatusCode, len(got.body), renewals.Load(), p.log)
		}
		time.Sleep(time.Second) // of the bubble: the upstream waits before it closes the first connection
	})
}

// If the upstream refuses every token, the request is sent twice and never more, and the
// second response is passed on.
func TestRefusalIsPassedOn(t *testing.T) {
	for name, c := range map[string]struct {
		renew    func() (string, error)
		requests int
		outcome  string
	}{
		"still refused": {func() (string, error) { return "another", nil }, 2, "refused"},
		"not renewed":   {func() (string, error) { return "", errors.New("a moment ago") }, 1, "not_renewed"},
		"the same":      {func() (string, error) { return accessToken, nil }, 1, "not_renewed"},
	} {
		t.Run(name, func(t *testing.T) {
			up := refusingUpstream(t)
			p := newProxy(t, api(t, up.URL))
			p.tokens.renew = c.renew
			got := p.get(t, "/api/x")
			if got.StatusCode != http.StatusUnauthorized || got.body != "token of an old key" || got.Header.Get("X-Refusal") == "" {
				t.Errorf("answered %d %q", got.StatusCode, got.body)
			}
			if n := len(up.requests()); n != c.requests {
				t.Errorf("%d requests", n)
			}
			if counts := counted(t, p, "tokenhandler_proxy_retries_total"); len(counts) != 1 || counts["outcome="+c.outcome+" route=/api/"] != 1 {
				t.Errorf("counted %v", counts)
			}
			if status := got.Header.Get("Proxy-Status"); status != "token-handler; received-status=401" {
				t.Errorf("Proxy-Status %q", status)
			}
			wantCookie(t, got)
		})
	}
}

// Proxy-Status distinguishes the upstream's 401 from ours.
func TestOur401DiffersFromTheUpstreams(t *testing.T) {
	p := newProxy(t, api(t, newUpstream(t, nil).URL))
	if got := p.get(t, "/api/x"); got.StatusCode != http.StatusOK || got.Header["Proxy-Status"] != nil {
		t.Errorf("answered %d, Proxy-Status %q", got.StatusCode, got.Header["Proxy-Status"])
	}
	p.tokens.err = web.NewProblem(web.CodeSessionExpired, "over", nil)
	if got := p.get(t, "/api/x"); got.StatusCode != http.StatusUnauthorized || got.Header["Proxy-Status"] != nil {
		t.Errorf("answered %d, Proxy-Status %q", got.StatusCode, got.Header["Proxy-Status"])
	}
}

func TestNothingIsRenewedWithoutNeed(t *testing.T) {
	for name, c := range map[string]struct {
		status    int
		kind      string
		anonymous bool
	}{
		"403":                          {http.StatusForbidden, "access", false},
		"200":                          {http.StatusOK, "access", false},
		"401 without a token sent":     {http.StatusUnauthorized, "none", false},
		"401 to an anonymous request ": {http.StatusUnauthorized, "access", true},
	} {
		t.Run(name, func(t *testing.T) {
			up := answers(t, c.status)
			route := api(t, up.URL)
			route.Token, route.Anonymous = oauthproxy.TokenKind(c.kind), c.anonymous
			p := newProxy(t, route)
			if c.anonymous {
				p.tokens.err = web.NewProblem(web.CodeNotAuthenticated, "planned by the test", nil)
			}
			p.tokens.renew = func() (string, error) { t.Error("renewed"); return "", errors.New("no") }
			if got := p.get(t, "/api/x"); got.StatusCode != c.status || len(up.requests()) != 1 {
				t.Errorf("answered %d after %d requests", got.StatusCode, len(up.requests()))
			}
		})
	}
}

// greedyTransport responds to the first attempt with 401, and reads its body only during
// the second one. A transport for HTTP/2 may do so, because it reads in another goroutine.
type greedyTransport struct {
	http.RoundTripper

	first io.Reader
}

func (g *greedyTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if g.first == nil {
		g.first = r.Body
		return &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{}, Body: http.NoBody}, nil
	}
	_, _ = g.first.Read(make([]byte, 4))
	return g.RoundTripper.RoundTrip(r)
}

// The first attempt to send a request takes nothing from the body of the second.
func TestBodyIsReadByOneAttempt(t *testing.T) {
	up := newUpstream(t, nil)
	p := newProxy(t, api(t, up.URL))
	p.tokens.renew = func() (string, error) { return "another", nil }
	p.handler.WrapTransports(func(next http.RoundTripper) http.RoundTripper { return &greedyTransport{RoundTripper: next} })
	if got := p.do(t, p.request(t, http.MethodPost, "/api/x", io.MultiReader(strings.NewReader("the body")))); got.StatusCode != http.StatusOK {
		t.Errorf("status %d", got.StatusCode)
	}
	if got := up.last(t); string(got.body) != "the body" {
		t.Errorf("the upstream got %q", got.body)
	}
}
