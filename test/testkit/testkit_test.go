package testkit_test

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/test/testkit"
)

// failures collects the failures of an assertion in place of failing the test.
type failures struct {
	testing.TB

	errors int
	fatal  bool
}

func (*failures) Helper()                 {}
func (f *failures) Errorf(string, ...any) { f.errors++ }
func (f *failures) Fatalf(string, ...any) { f.fatal = true; panic(f) }

// failsOf runs assert and returns how it failed.
func failsOf(tb testing.TB, assert func(tb *failures)) (failed *failures) {
	tb.Helper()
	failed = &failures{TB: tb}
	defer func() {
		if r := recover(); r != nil && r != failed {
			panic(r)
		}
	}()
	assert(failed)
	return failed
}

func TestClock(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c := testkit.NewClock(start)
	c.Advance(time.Hour)
	if got := c.Now(); !got.Equal(start.Add(time.Hour)) {
		t.Errorf("an hour after %v it is %v", start, got)
	}
	c.Set(start)
	if got := c.Now(); !got.Equal(start) {
		t.Errorf("set to %v, it is %v", start, got)
	}
}

func TestLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log testkit.Log
		go func() {
			for range 3 {
				time.Sleep(time.Second)
				log.Logger().Info("opened", "n", 1)
			}
			log.Logger().Debug("closed")
		}()
		log.Wait(t, `"msg":"opened"`, 2)
		log.Wait(t, `"msg":"closed"`, 1)
		if got := len(log.RecordsOf(t, "opened")); got != 3 || len(log.Records(t)) != 4 || !log.Contains("closed") {
			t.Errorf("%d records are called opened in\n%s", got, &log)
		}
		if got := failsOf(t, func(tb *failures) { log.Wait(tb, "closed", 2) }); !got.fatal {
			t.Error("waiting for what is never logged does not fail")
		}
	})
}

func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		values, done := make(chan int), make(chan struct{})
		go func() {
			time.Sleep(testkit.Deadline / 2)
			values <- 7
			close(done)
		}()
		if got := testkit.Receive(t, values, "a value"); got != 7 {
			t.Errorf("received %d", got)
		}
		testkit.Receive(t, done, "the end")
		for name, wait := range map[string]func(tb *failures){
			"Receive":           func(tb *failures) { testkit.Receive(tb, values, "a value") },
			"Eventually, false": func(tb *failures) { testkit.Eventually(tb, "nothing", func() bool { return false }) },
		} {
			if !failsOf(t, wait).fatal {
				t.Errorf("%s: waiting in vain does not fail", name)
			}
		}
		late := time.Now().Add(time.Second)
		testkit.Eventually(t, "a second later", func() bool { return time.Now().After(late) })
	})
}

func TestFast(t *testing.T) {
	attempts := 0
	testkit.Fast(t, time.Second, "it", func() time.Duration { attempts++; return time.Second / time.Duration(attempts) })
	if attempts != 2 {
		t.Errorf("%d attempts, the second was fast enough", attempts)
	}
	if got := failsOf(t, func(tb *failures) { testkit.Fast(tb, time.Second, "it", func() time.Duration { return time.Second }) }); got.errors != 1 {
		t.Error("what is never fast does not fail")
	}
}

func TestWantProblem(t *testing.T) {
	good := func() testkit.Answer {
		return testkit.Answer{
			Status: http.StatusUnauthorized,
			Header: http.Header{
				"Content-Type": {"application/problem+json"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}, "X-Request-Id": {"r1"},
			},
			Body: []byte(`{"type":"about:blank","title":"Unauthorized","status":401,"code":"session_expired","detail":"D","login_url":"/auth/login","request_id":"r1"}`),
		}
	}
	if p := testkit.WantProblem(t, good(), http.StatusUnauthorized, "session_expired"); p.Detail != "D" {
		t.Errorf("returned %+v", p)
	}
	for name, change := range map[string]func(a *testkit.Answer){
		"status":           func(a *testkit.Answer) { a.Status = http.StatusOK },
		"no JSON":          func(a *testkit.Answer) { a.Body = []byte("<h1>") },
		"empty":            func(a *testkit.Answer) { a.Body = []byte(`{}`) },
		"content type":     func(a *testkit.Answer) { a.Header.Set("Content-Type", "application/json") },
		"may be stored":    func(a *testkit.Answer) { a.Header.Del("Cache-Control") },
		"may be sniffed":   func(a *testkit.Answer) { a.Header.Del("X-Content-Type-Options") },
		"other request":    func(a *testkit.Answer) { a.Header.Set("X-Request-ID", "r2") },
		"retry":            func(a *testkit.Answer) { a.Header.Set("Retry-After", "1") },
		"without login":    func(a *testkit.Answer) { a.Body = slices.Concat(a.Body[:len(a.Body)-1], []byte(`,"login_url":""}`)) },
		"another code":     func(a *testkit.Answer) { a.Body = slices.Concat(a.Body[:len(a.Body)-1], []byte(`,"code":"x"}`)) },
		"without a title":  func(a *testkit.Answer) { a.Body = slices.Concat(a.Body[:len(a.Body)-1], []byte(`,"title":""}`)) },
		"without a detail": func(a *testkit.Answer) { a.Body = slices.Concat(a.Body[:len(a.Body)-1], []byte(`,"detail":""}`)) },
	} {
		bad := good()
		change(&bad)
		if failed := failsOf(t, func(tb *failures) { testkit.WantProblem(tb, bad, http.StatusUnauthorized, "session_expired") }); failed.errors == 0 {
			t.Errorf("%s: passes", name)
		}
	}
}
