package limit_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/limit"
	"cognito-token-handler/tokenhandler/web"
)

// fixture is a limit whose clock the test moves.
type fixture struct {
	*limit.Limit

	now time.Time
}

func newFixture(count int, per time.Duration) *fixture {
	f := &fixture{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	f.Limit = limit.New(limit.Config{
		Name: web.LimitLogin, Count: count, Per: per, Now: func() time.Time { return f.now },
		Client: func(r *http.Request) netip.Prefix {
			addr, err := netip.ParseAddr(r.RemoteAddr)
			if err != nil {
				return netip.Prefix{}
			}
			return web.NetOf(addr)
		},
	})
	return f
}

func from(address string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.RemoteAddr = address
	return r
}

// wantWait asserts that err refuses a request with this Retry-After, or nothing if it is "".
func wantWait(t *testing.T, what string, err error, retryAfter string) {
	t.Helper()
	p, refused := errors.AsType[*web.Problem](err)
	if got := ""; retryAfter != got || refused {
		if refused {
			got = p.Header.Get("Retry-After")
		}
		if got != retryAfter || refused && (p.Status() != http.StatusTooManyRequests || p.Limit != web.LimitLogin) {
			t.Errorf("%s: %v, Retry-After %q, want %q", what, err, got, retryAfter)
		}
	}
}

// TestRate: the burst, then one request each time that a part of the period has passed. A
// refused request does not prolong the wait.
func TestRate(t *testing.T) {
	f := newFixture(3, time.Minute)
	for range 3 {
		wantWait(t, "within the burst", f.Take("a"), "")
	}
	for range 100 {
		wantWait(t, "beyond it", f.Take("a"), "20")
	}
	wantWait(t, "another session", f.Take("b"), "")
	f.now = f.now.Add(19 * time.Second)
	wantWait(t, "a second early", f.Take("a"), "1")
	f.now = f.now.Add(time.Second)
	wantWait(t, "in time", f.Take("a"), "")
	wantWait(t, "after that", f.Take("a"), "20")
	f.now = f.now.Add(time.Hour)
	for range 3 {
		wantWait(t, "after an hour", f.Take("a"), "")
	}
	wantWait(t, "no more than the burst", f.Take("a"), "20")
	f.now = f.now.Add(-time.Hour)
	wantWait(t, "after the clock was set back", f.Take("a"), "20")
}

// TestClients: clients are counted by network, and those that are not known are not limited,
// nor are requests without a session.
// A check counts nothing.
func TestClients(t *testing.T) {
	f := newFixture(1, time.Minute)
	for range 5 {
		wantWait(t, "a check", f.CheckClient(from("203.0.113.1")), "")
	}
	wantWait(t, "IPv4", f.TakeClient(from("203.0.113.1")), "")
	wantWait(t, "the same", f.TakeClient(from("203.0.113.1")), "60")
	wantWait(t, "a check of the same", f.CheckClient(from("203.0.113.1")), "60")
	wantWait(t, "its neighbour", f.TakeClient(from("203.0.113.2")), "")
	wantWait(t, "IPv6", f.TakeClient(from("2001:db8::1")), "")
	wantWait(t, "another address of its /64", f.TakeClient(from("2001:db8::ffff:1")), "60")
	wantWait(t, "another /64", f.TakeClient(from("2001:db8:0:1::1")), "")
	for range 5 {
		wantWait(t, "not known", f.TakeClient(from("?")), "")
	}
	for range 5 {
		wantWait(t, "a request without a session", f.Take(""), "")
	}
	var none *limit.Limit
	wantWait(t, "no limit", errors.Join(none.Take("a"), none.TakeClient(from("203.0.113.1")), none.CheckClient(from("203.0.113.1"))), "")
}

// TestConcurrentRequests: no more are allowed than one after another.
func TestConcurrentRequests(t *testing.T) {
	f := newFixture(10, time.Hour)
	var allowed atomic.Int64
	var work sync.WaitGroup
	for i := range 50 {
		work.Go(func() {
			for range 10 {
				if f.Take("a") == nil {
					allowed.Add(1)
				}
				_ = f.Take(strconv.Itoa(i))
			}
		})
	}
	work.Wait()
	if allowed.Load() != 10 {
		t.Errorf("%d were allowed, want 10", allowed.Load())
	}
}

// TestMemoryIsBounded: many times more clients than are remembered take no more memory, and
// one that keeps coming is not forgotten.
func TestMemoryIsBounded(t *testing.T) {
	f := newFixture(1, 24*time.Hour)
	fill := func(round int) {
		for i := range limit.MaxKeys {
			_ = f.TakeClient(from(fmt.Sprintf("2001:db8:%x:%x::", round, i)))
			if i%1000 == 0 {
				_ = f.TakeClient(from("203.0.113.1"))
			}
		}
	}
	_ = f.TakeClient(from("203.0.113.1"))
	fill(0)
	before := heap()
	for round := range 4 {
		fill(round + 1)
	}
	if grown := heap() - before; grown > 1<<20 {
		t.Errorf("the memory of %d clients grows by %d bytes", limit.MaxKeys, grown)
	}
	if f.TakeClient(from("203.0.113.1")) == nil {
		t.Error("a client that keeps coming is forgotten")
	}
	for i := range 2 * limit.MaxKeys {
		_ = f.CheckClient(from(fmt.Sprintf("2001:db8:9:%x::", i)))
	}
	if f.CheckClient(from("203.0.113.1")) == nil {
		t.Error("a client is forgotten for those that have done nothing")
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
