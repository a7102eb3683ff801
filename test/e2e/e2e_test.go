//go:build e2e

package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"cognito-token-handler/test/devstack"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

var asJSON = useragent.FetchOptions{Header: map[string]string{"Content-Type": "application/json"}}

func TestLoginCallsTheAPIAndLogsOut(t *testing.T) {
	stack := newStack(t, devstack.Options{})
	ua := login(t, stack, demo)
	me := whoAmI(t, ua)
	if !me.Authenticated || me.User.Email != demo || me.User.Sub != subOf(t, stack, demo) || len(me.User.Groups) != 1 {
		t.Errorf("who am I: %+v", me)
	}
	if left := time.Until(me.ExpiresAt); left < 11*time.Hour || left > 12*time.Hour {
		t.Errorf("the session ends in %v", left)
	}

	r := ua.Fetch(http.MethodGet, "/api/me", "")
	var answer struct{ Claims map[string]any }
	if err := r.JSON(&answer); err != nil || answer.Claims["sub"] != me.User.Sub || answer.Claims["token_use"] != "access" {
		t.Errorf("/api/me: %d %s", r.Status, r.Body)
	}
	r = ua.Fetch(http.MethodPost, "/api/echo", `{"hello":"world"}`, asJSON)
	if r.Status != http.StatusOK || strings.Contains(string(r.Body), "__Host-") {
		t.Errorf("/api/echo: %d %s", r.Status, r.Body)
	}

	copied := useragent.New(t, stack.URL)
	for _, c := range ua.Cookies() {
		copied.SetCookie(c)
	}
	if !whoAmI(t, copied).Authenticated {
		t.Error("before the logout, copied cookies are not accepted")
	}
	r = ua.Fetch(http.MethodPost, "/auth/logout", "")
	var out struct {
		LogoutURL string `json:"logout_url"`
	}
	if err := r.JSON(&out); err != nil || r.Status != http.StatusOK {
		t.Fatalf("logout: %d %s", r.Status, r.Body)
	}
	if end := ua.Navigate(out.LogoutURL); !strings.HasPrefix(end.URL, stack.URL+"/") {
		t.Errorf("the provider's logout ended at %s: %d %s", end.URL, end.Status, end.Body)
	}
	if whoAmI(t, ua).Authenticated || whoAmI(t, copied).Authenticated {
		t.Error("logged in after logout, or the copied cookie still works")
	}
	if r := copied.Fetch(http.MethodGet, "/api/me", ""); r.Status != http.StatusUnauthorized {
		t.Errorf("the API with a copied cookie: %d", r.Status)
	}
}

func TestWrongPasswordStaysAtTheProvider(t *testing.T) {
	stack := newStack(t, devstack.Options{})
	ua := useragent.New(t, stack.URL)
	r := signIn(t, ua, demo, "not-the-password")
	if strings.HasPrefix(r.URL, stack.URL) || !strings.Contains(string(r.Body), "Incorrect username or password") {
		t.Errorf("ended at %s: %d %s", r.URL, r.Status, r.Body)
	}
	if whoAmI(t, ua).Authenticated {
		t.Error("logged in with a wrong password")
	}
}

// TestExpiredTokenIsRenewedOnce sends 50 requests at once after the access token has
// expired.
func TestExpiredTokenIsRenewedOnce(t *testing.T) {
	const life = 8 * time.Second
	stack := newStack(t, devstack.Options{AccessTokenTTL: life, ExtraConfig: func(_ *devstack.Stack, c devstack.Config) {
		c.Set("session.refresh_before", "1s")
	}})
	ua := login(t, stack, demo)
	me := whoAmI(t, ua)
	until(t, me.AccessTokenExpiresAt)
	calls, begun := stack.Pool.TokenCalls("refresh_token"), time.Now()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if r := ua.Fetch(http.MethodGet, "/api/me", ""); r.Status != http.StatusOK {
				t.Errorf("%d %s", r.Status, r.Body)
			}
		})
	}
	wg.Wait()
	// On a busy machine the new token may expire as well before all requests are answered.
	most := 1 + int(time.Since(begun)/(life-2*time.Second))
	if n := stack.Pool.TokenCalls("refresh_token") - calls; n < 1 || n > most {
		t.Errorf("%d refreshes, want %d at most", n, most)
	}
	if now := whoAmI(t, ua); !now.AccessTokenExpiresAt.After(me.AccessTokenExpiresAt) || now.ExpiresAt != me.ExpiresAt {
		t.Errorf("before %+v, after %+v", me, now)
	}
}

// TestRemovedUserLosesTheSession checks that the refresh fails, the session ends and its
// cookies are deleted.
func TestRemovedUserLosesTheSession(t *testing.T) {
	for how, remove := range map[string]func(*devstack.Stack) error{
		"deleted":  func(s *devstack.Stack) error { return s.Pool.DeleteUser(t.Context(), second) },
		"disabled": func(s *devstack.Stack) error { return s.Pool.DisableUser(t.Context(), second) },
	} {
		t.Run(how, func(t *testing.T) {
			stack := newStack(t, devstack.Options{})
			ua, other := login(t, stack, second), login(t, stack, demo)
			if err := remove(stack); err != nil {
				t.Fatal(err)
			}
			r := ua.Fetch(http.MethodPost, "/auth/refresh", "")
			if r.Status != http.StatusUnauthorized || !strings.Contains(string(r.Body), `"code":"session_expired"`) {
				t.Errorf("refresh: %d %s", r.Status, r.Body)
			}
			if _, there := ua.Cookie(testkit.Cookies(stack.URL).Session); there || whoAmI(t, ua).Authenticated {
				t.Error("the session continues")
			}
			if r := other.Fetch(http.MethodPost, "/auth/refresh", ""); r.Status != http.StatusOK {
				t.Errorf("another user's session ended, too: %d", r.Status)
			}
		})
	}
}

// upload requests a presigned URL for an upload of body.
func upload(t *testing.T, ua *useragent.UA, key, body string) (presigned struct {
	Method, URL, Key string
	Headers          map[string]string
},
) {
	t.Helper()
	r := ua.Fetch(http.MethodPost, "/storage/uploads", fmt.Sprintf(`{"key":%q,"content_type":"text/plain","size":%d}`, key, len(body)), asJSON)
	if err := r.JSON(&presigned); err != nil || r.Status != http.StatusCreated {
		t.Fatalf("uploads: %d %s", r.Status, r.Body)
	}
	return presigned
}

func TestEveryUserHasAFolder(t *testing.T) {
	stack := newStack(t, devstack.Options{})
	bodies := map[string]string{demo: "mine", second: "a second user's"}
	urls := map[string]string{}
	for email, body := range bodies {
		ua := login(t, stack, email)
		presigned := upload(t, ua, "notes/a.txt", body)
		urls[email] = presigned.URL
		r := ua.FetchFrom(stack.URL, presigned.Method, presigned.URL, body, useragent.FetchOptions{Header: presigned.Headers, Credentials: "omit"})
		if r.Err != nil || r.Status != http.StatusOK {
			t.Fatalf("%s: PUT from the app's page: %v %d %s", email, r.Err, r.Status, r.Body)
		}
	}
	for email, body := range bodies {
		key := "users/" + subOf(t, stack, email) + "/notes/a.txt"
		object, err := stack.S3.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String(stack.S3.Bucket), Key: aws.String(key)})
		if err != nil {
			t.Fatal(err)
		}
		stored, err := io.ReadAll(object.Body)
		if err != nil || string(stored) != body {
			t.Errorf("%s holds %q, %v", key, stored, err)
		}
	}
	// A signature for one folder is not valid for another.
	stolen := strings.Replace(urls[second], subOf(t, stack, second), subOf(t, stack, demo), 1)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, stolen, strings.NewReader("overwritten now"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "text/plain")
	answer, err := (&http.Client{}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusForbidden {
		t.Errorf("another user's folder: %d", answer.StatusCode)
	}
}

// TestRestartKeepsSessionsAndRequests restarts the service during a request. The request
// is still answered, and the session continues, because it is in the browser's cookie.
func TestRestartKeepsSessionsAndRequests(t *testing.T) {
	stack := newStack(t, devstack.Options{})
	ua := login(t, stack, demo)
	answered := make(chan *useragent.Response)
	go func() { answered <- ua.Fetch(http.MethodGet, "/api/slow?ms=3000", "") }()
	apiAnswers := func() bool {
		r := ua.Fetch(http.MethodGet, "/api/me", "")
		return r.Status == http.StatusOK
	}
	if !apiAnswers() {
		t.Fatal("not logged in")
	}
	if err := stack.RestartHandler(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := <-answered; r.Err != nil || r.Status != http.StatusOK {
		t.Errorf("the request during the restart: %d %v", r.Status, r.Err)
	}
	if !apiAnswers() {
		t.Error("the session did not survive the restart")
	}
	if log := stack.HandlerLog(); !strings.Contains(log, `"msg":"stopped"`) {
		t.Error("the service did not shut down gracefully")
	}
}

// TestEventsStream checks that server-sent events arrive one by one.
func TestEventsStream(t *testing.T) {
	stack := newStack(t, devstack.Options{})
	ua := login(t, stack, demo)
	var cookies []string
	for _, c := range ua.Cookies() {
		if testkit.Cookies(stack.URL).Ours(c.Name) {
			cookies = append(cookies, c.Name+"="+c.Value)
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, stack.URL+"/api/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{"Cookie": {strings.Join(cookies, "; ")}, "Sec-Fetch-Site": {"same-origin"}, "Accept": {"text/event-stream"}}
	answer, err := (&http.Client{}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	var got bytes.Buffer
	for part := make([]byte, 512); strings.Count(got.String(), "\n\n") < 2; {
		n, err := answer.Body.Read(part)
		got.Write(part[:n])
		if err != nil {
			t.Fatalf("after %q: %v", got.String(), err)
		}
	}
}

// TestLogHoldsNoSecret searches the log of a login, a refresh, an upload and a logout for
// the tokens, cookies, codes and credentials that were used.
func TestLogHoldsNoSecret(t *testing.T) {
	stack := newStack(t, devstack.Options{ExtraConfig: func(_ *devstack.Stack, c devstack.Config) { c.Set("log.level", "debug") }})
	ua := login(t, stack, demo)
	ua.Fetch(http.MethodPost, "/auth/refresh", "")
	upload(t, ua, "a.txt", "x")
	planted := append(stack.Pool.Issued(), stack.Pool.ClientSecret, stack.S3.SecretKey, password)
	for _, r := range ua.History() {
		for _, line := range r.Header.Values("Set-Cookie") {
			if c, err := http.ParseSetCookie(line); err == nil {
				planted = append(planted, c.Value)
			}
		}
		if u, err := url.Parse(r.URL); err == nil {
			planted = append(planted, u.Query().Get("code"), u.Query().Get("state"))
		}
		for _, hop := range r.Via {
			if u, err := url.Parse(hop.Location()); err == nil {
				planted = append(planted, u.Query().Get("code"), u.Query().Get("state"))
			}
		}
	}
	ua.Fetch(http.MethodPost, "/auth/logout", "")
	log, found := stack.HandlerLog(), 0
	for _, value := range planted {
		if len(value) < 8 {
			continue
		}
		found++
		if strings.Contains(log, value) {
			t.Errorf("the log holds %.10s…", value)
		}
	}
	if found < 8 {
		t.Errorf("only %d secrets were looked for", found)
	}
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is no JSON: %s", line)
		}
	}
}
