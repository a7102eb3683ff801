package app_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

// tight are limits that a test meets, with a proxy in front that tells the clients.
const tight = "limits: {login: 3/1h, callback: 2/1h, refresh: 2/1h, presigns: 2/1h, admin_token: 2/1h, exempt: [198.51.100.7, \"2001:db8:7::/48\"]}\n"

const behindProxy = "trusted_proxies: [127.0.0.1, \"::1\"]\n"

// from returns a browser with this address, which a trusted proxy adds.
func (s *service) from(address string) *useragent.UA {
	ua := useragent.New(s.tb, publicURL)
	ua.SetTransport(forwarded{s.transport(), address})
	return ua
}

// forwarded adds the address of the client as a proxy does.
type forwarded struct {
	http.RoundTripper

	address string
}

func (f forwarded) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-For", f.address)
	return f.RoundTripper.RoundTrip(r)
}

// wantLimited asserts that the answer is the refusal of a limit of so many requests an hour.
func wantLimited(t *testing.T, what string, res *useragent.Response, perHour int) {
	t.Helper()
	seconds, err := strconv.Atoi(res.Header.Get("Retry-After"))
	if res.Status != http.StatusTooManyRequests || !strings.Contains(string(res.Body), "rate_limited") || err != nil || seconds < 1 || seconds > 3600/perHour {
		t.Errorf("%s: %d, Retry-After %q, %s", what, res.Status, res.Header.Get("Retry-After"), res.Body)
	}
}

// begin begins a login and goes no further.
func begin(ua *useragent.UA) *useragent.Response { return ua.NavigateNoFollow("/auth/login") }

func madeUp(ua *useragent.UA) *useragent.Response {
	return ua.NavigateNoFollow("/auth/callback?code=x&state=" + strings.Repeat("1", 43))
}

// TestLimits: every limit refuses with 429, is counted, and is in the audit trail. It meets
// nobody else.
func TestLimits(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	s := startWith(t, cognitotest.Options{}, service{
		admins: ", token: \"the-operators-own-token\"", further: tight + behindProxy + "audit: {output: file, file: \"" + file + "\"}",
	})
	s.ready()
	user := s.from("203.0.113.1")
	if !isLoggedIn(user) { // the first of three logins
		t.Fatal("no login")
	}
	for _, tt := range []struct {
		limit   string
		most    int
		request func(i int) *useragent.Response
	}{
		{"login", 2, func(int) *useragent.Response { return begin(s.from("203.0.113.1")) }},
		{"login", 3, func(i int) *useragent.Response { return begin(s.from(fmt.Sprintf("2001:db8::%x", i))) }},
		{"callback", 2, func(int) *useragent.Response { return madeUp(s.from("203.0.113.2")) }},
		{"refresh", 2, func(int) *useragent.Response { return user.Fetch(http.MethodPost, "/auth/refresh", "") }},
		{"presigns", 2, func(i int) *useragent.Response {
			return user.Fetch(http.MethodPost, "/storage/uploads", fmt.Sprintf(`{"key":"%d.txt","content_type":"text/plain","size":1}`, i), jsonBody)
		}},
	} {
		for i := range tt.most {
			if res := tt.request(i); res.Status == http.StatusTooManyRequests {
				t.Errorf("%s: request %d: %d %s", tt.limit, i, res.Status, res.Body)
			}
		}
		for i := range 3 {
			wantLimited(t, tt.limit, tt.request(tt.most+i), tt.most)
		}
	}
	for _, address := range []string{"198.51.100.7", "2001:db8:7::1"} { // exempt
		for range 5 {
			if begin(s.from(address)).Status != http.StatusFound || madeUp(s.from(address)).Status != http.StatusBadRequest {
				t.Errorf("%s is limited", address)
			}
		}
	}
	if !isLoggedIn(s.from("203.0.113.3")) {
		t.Error("no login from another address")
	}
	s.wantCounted(t, map[string]int{"login": 6, "callback": 3, "refresh": 3, "presigns": 3, "admin_token": 0})
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	trail, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"event":"rate_limited","cause":"login","request_id"`, `"cause":"callback","request_id"`, `"event":"rate_limited","cause":"presigns","sub":"` + s.pool.User("demo").Sub, `"count":2,"since"`} {
		if !strings.Contains(string(trail), part) {
			t.Errorf("the audit trail has no %s:\n%s", part, trail)
		}
	}
}

func isLoggedIn(ua *useragent.UA) bool {
	res := ua.Navigate("/auth/login")
	_, there := ua.Cookie(testkit.Cookies(publicURL).Session)
	return res.Err == nil && there
}

// wantCounted compares the metric.
func (s *service) wantCounted(t *testing.T, want map[string]int) {
	t.Helper()
	_, metrics := s.admin("/metrics")
	for limit, n := range want {
		if line := fmt.Sprintf("tokenhandler_rate_limited_total{limit=%q} %d\n", limit, n); !strings.Contains(metrics, line) {
			t.Errorf("the metrics have no %s", line)
		}
	}
}

// TestWrongAdminTokensAreLimited: whoever guesses is stopped, also with a header that hides
// the address or from a network that is exempt from the limits of users, and the right token
// does not get through either. Requests without a token, which web pages can make the
// operator's browser send, stop nobody.
func TestWrongAdminTokensAreLimited(t *testing.T) {
	const token = "the-operators-own-token"
	s := startWith(t, cognitotest.Options{}, service{
		admins: ", token: \"" + token + "\"", further: "limits: {admin_token: 2/1h, exempt: [127.0.0.1, \"::1\"]}\n",
	})
	for range 10 {
		if status := s.revocationsWithout(t, s.transport()); status != http.StatusUnauthorized {
			t.Errorf("no token: %d", status)
		}
	}
	if status, body := s.order(token, `{"sub":"x"}`); status != http.StatusAccepted {
		t.Fatal(status, body)
	}
	for i, want := range []int{401, 401, 429, 429} {
		if status, body := s.order("made-up", `{"sub":"x"}`); status != want {
			t.Errorf("wrong token %d: %d %s", i, status, body)
		}
	}
	if status, body := s.order(token, `{"sub":"x"}`); status != http.StatusTooManyRequests || !strings.Contains(body, "rate_limited") {
		t.Errorf("the right token: %d %s", status, body)
	}
	if status := s.revocationsWithout(t, forwarded{s.transport(), "203.0.113.9"}); status != http.StatusTooManyRequests {
		t.Errorf("with X-Forwarded-For: %d", status)
	}
	s.wantCounted(t, map[string]int{"admin_token": 4})
}

// TestWrongVerifySecretsAreLimited: a client that tries secrets gets 429, also from a network
// that is exempt from the limits of users, and is in the audit trail once. The right secret
// is never refused: the gateway may ask for a user behind the same address, or be reached
// through the same proxy as the guesses. Requests without a secret do not count.
func TestWrongVerifySecretsAreLimited(t *testing.T) {
	const verifySecret = "planted-verify-secret-value"
	file := filepath.Join(t.TempDir(), "audit.log")
	s := startWith(t, cognitotest.Options{}, service{
		further: "auth: {verify_secret: " + verifySecret + "}\nlimits: {verify_secret: 2/1h, exempt: [203.0.113.1]}\n" + behindProxy + "audit: {output: file, file: \"" + file + "\"}",
	})
	s.wantCounted(t, map[string]int{"verify_secret": 0})
	verify := func(address string, secrets map[string]string) *useragent.Response {
		return s.from(address).Fetch(http.MethodGet, "/auth/verify", "", useragent.FetchOptions{Header: secrets})
	}
	wrong, right := map[string]string{"X-Auth-Request-Secret": "made-up-made-up-made-up"}, map[string]string{"X-Auth-Request-Secret": verifySecret}
	for i := range 5 {
		if res := verify("203.0.113.1", nil); res.Status != http.StatusNotFound {
			t.Errorf("request %d without a secret: %d", i, res.Status)
		}
	}
	for i := range 5 {
		if res := verify("203.0.113.1", wrong); i >= 2 {
			wantLimited(t, "a wrong secret", res, 2)
		} else if res.Status != http.StatusNotFound {
			t.Errorf("wrong secret %d: %d", i, res.Status)
		}
		if res := verify("203.0.113.1", right); res.Status != http.StatusUnauthorized {
			t.Errorf("the right secret: %d", res.Status)
		}
	}
	if res := verify("203.0.113.2", wrong); res.Status != http.StatusNotFound {
		t.Errorf("another client: %d", res.Status)
	}
	s.wantCounted(t, map[string]int{"verify_secret": 3})
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	trail, err := os.ReadFile(file)
	if err != nil || strings.Count(string(trail), `"cause":"verify_secret"`) != 2 || !strings.Contains(string(trail), `"count":2,"since"`) || strings.Contains(string(trail), "made-up") {
		t.Errorf("the audit trail is %s, %v", trail, err)
	}
}

// revocationsWithout asks for the revocations without a token.
func (s *service) revocationsWithout(t *testing.T, transport http.RoundTripper) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.at.Admin+"/admin/revocations", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}

// TestHiddenClientsAreNotLimited: a proxy that is not in trusted_proxies makes one client of
// all users. The log says so, once.
func TestHiddenClientsAreNotLimited(t *testing.T) {
	s := startWith(t, cognitotest.Options{}, service{further: tight})
	s.ready()
	for i := range 5 {
		ua := s.from(fmt.Sprintf("203.0.113.%d", i))
		if begin(ua).Status != http.StatusFound || madeUp(s.from("203.0.113.1")).Status != http.StatusBadRequest {
			t.Error("limited")
		}
	}
	if n := strings.Count(s.log.String(), "the clients' addresses are not known"); n != 1 {
		t.Errorf("logged %d times", n)
	}
	// Without a proxy the peer is the client.
	for range 3 {
		begin(s.browser())
	}
	wantLimited(t, "without a proxy", begin(s.browser()), 3)
}
