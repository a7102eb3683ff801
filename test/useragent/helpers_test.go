package useragent_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// newSite starts a server whose responses are described by the query of the request:
// set=<Set-Cookie>, to=<redirect>, status=<code>, header=<name: value>.
func newSite(t *testing.T) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		for _, raw := range q["set"] {
			w.Header().Add("Set-Cookie", raw)
		}
		for _, line := range q["header"] {
			name, value, _ := strings.Cut(line, ": ")
			w.Header().Set(name, value)
		}
		if to := q.Get("to"); to != "" {
			w.Header().Set("Location", to)
			status := http.StatusFound
			if q.Get("status") == "307" {
				status = http.StatusTemporaryRedirect
			}
			w.WriteHeader(status)
			return
		}
		_, _ = w.Write([]byte("body of " + r.Method + " " + r.URL.Path))
	}))
	t.Cleanup(srv.Close)
	return srv
}

// localhost returns the server's URL with the host localhost and not 127.0.0.1.
func localhost(srv *httptest.Server) string {
	return strings.Replace(srv.URL, "127.0.0.1", "localhost", 1)
}

// do returns a URL with a query for newSite, made from pairs of names and values.
func do(base string, instructions ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(instructions); i += 2 {
		q.Add(instructions[i], instructions[i+1])
	}
	return base + "/do?" + q.Encode()
}

// byName is a transport that sends the requests to every host to one server.
type byName struct{ srv *httptest.Server }

func (b byName) RoundTrip(req *http.Request) (*http.Response, error) {
	target, err := url.Parse(b.srv.URL)
	if err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	out.URL.Scheme, out.URL.Host = target.Scheme, target.Host
	return http.DefaultTransport.RoundTrip(out)
}

func newAgent(t *testing.T, base string) (*useragent.UA, *testkit.Clock) {
	t.Helper()
	c := testkit.NewClock(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	ua := useragent.New(t, base)
	ua.SetClock(c.Now)
	return ua, c
}

// loop is a transport whose every response is a redirect.
type loop struct{}

func (loop) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusFound, Header: http.Header{"Location": {"/"}}, Body: http.NoBody}, nil
}

// hang is a transport that returns only when the request is canceled.
type hang struct{ arrived chan struct{} }

func (h hang) RoundTrip(req *http.Request) (*http.Response, error) {
	close(h.arrived)
	<-req.Context().Done()
	return nil, req.Context().Err()
}
