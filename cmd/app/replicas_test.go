//go:build e2e

package app_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/test/testkit"
	"cognito-token-handler/test/useragent"
)

func redis(t *testing.T) *redislocal.Server {
	t.Helper()
	server, err := redislocal.Start(t.Context(), redislocal.Options{Password: "planted-store-password"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server
}

// replicas are services with the same keys, provider and store.
type replicas []*service

func startReplicas(t *testing.T, n int, pool cognitotest.Options, store *redislocal.Server, keys service) replicas {
	t.Helper()
	keys.session = fmt.Sprintf(", store: %q", store.URL()) + keys.session
	all := make(replicas, n)
	for i := range all {
		all[i] = startWith(t, pool, keys)
		keys.pool = all[i].pool
	}
	for _, s := range all {
		s.ready()
		testkit.Eventually(s.tb, "connected to the store", func() bool { _, body := s.admin("/readyz"); return strings.Contains(body, `"store":"ok"`) })
	}
	return all
}

// browser returns a browser that sends each request to the next replica.
func (r replicas) browser() *useragent.UA {
	var turn atomic.Uint32
	ua := useragent.New(r[0].tb, publicURL)
	ua.SetTransport(&http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			if address == "localhost:8080" {
				address = r[int(turn.Add(1))%len(r)].at.Public
			}
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	})
	return ua
}

func (r replicas) login() *useragent.UA {
	r[0].tb.Helper()
	ua := r.browser()
	if res := ua.Navigate("/auth/login?return_to=/open/start"); res.URL != publicURL+"/open/start" {
		r[0].tb.Fatalf("the login ended at %s: %d %s", res.URL, res.Status, res.Body)
	}
	return ua
}

// TestReplicasRefreshOnce: with strict rotation, where reuse of a refresh token ends the
// session, replicas make one refresh call for each expiry.
func TestReplicasRefreshOnce(t *testing.T) {
	const tries = 3 // on a busy machine the store may not answer in time, and replicas do without it
	for _, n := range []int{2, 5} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			for try := 1; ; try++ {
				fault, slow := refreshedOnce(t, n)
				if fault == "" {
					return
				}
				if !slow || try == tries {
					t.Fatal(fault)
				}
				t.Logf("the store was too slow: %s", fault)
			}
		})
	}
}

// refreshedOnce says why n replicas have not made one call for each expiry, or "", and whether
// the store has failed to answer one of them in time.
func refreshedOnce(t *testing.T, n int) (fault string, slow bool) {
	t.Helper()
	const life, expiries = 10 * time.Minute, 3
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	pool := cognitotest.Options{Rotation: true, RevokeFamilyOnReuse: true, AccessTTL: life, Clock: clock}
	all := startReplicas(t, n, pool, redis(t), service{clock: clock})
	ua := all.login()
	for expiry := 1; expiry <= expiries && fault == ""; expiry++ {
		ahead.Add(int64(life)) // the access token has ended
		var burst sync.WaitGroup
		answers := make(chan string, 20)
		for range cap(answers) {
			burst.Go(func() {
				if res := ua.Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK {
					answers <- fmt.Sprintf("answered %d %s", res.Status, res.Body)
				}
			})
		}
		burst.Wait()
		close(answers)
		fault = <-answers
		if calls := all[0].pool.Count(cognitotest.TokenRefresh); fault == "" && calls != expiry {
			fault = fmt.Sprintf("%d refreshes after %d expiries", calls, expiry)
		}
	}
	for _, s := range all {
		_, metrics := s.admin("/metrics")
		slow = slow || regexp.MustCompile(`tokenhandler_store_operations_total\{operation="(claim|publish)",outcome="(timeout|down|unreachable)"\} [1-9]`).MatchString(metrics)
	}
	return fault, slow
}

// TestRevocationReachesEveryReplica: requests and sockets end at each of them
// within a second, however the revocation was made.
func TestRevocationReachesEveryReplica(t *testing.T) {
	all := startReplicas(t, 3, cognitotest.Options{}, redis(t), service{admins: ", token: " + adminToken})
	for name, revoke := range map[string]func(*useragent.UA){
		"an operator": func(*useragent.UA) {
			if status, body := all[1].order(adminToken, `{"sub":"`+all[0].pool.User("demo").Sub+`"}`); status != http.StatusAccepted {
				t.Errorf("%d %s", status, body)
			}
		},
		"a logout":            func(ua *useragent.UA) { all[1].copyOf(ua).Fetch(http.MethodPost, "/auth/logout", "") },
		"a logout everywhere": func(*useragent.UA) { all[2].login().Fetch(http.MethodPost, "/auth/logout?everywhere=true", "") },
	} {
		t.Run(name, func(t *testing.T) {
			testkit.Fast(t, time.Second, "the revocation", func() time.Duration { return all.revocation(t, revoke) })
		})
	}
}

// revocation measures how long requests and sockets of a session go on at any
// replica after revoke has ended the session.
func (r replicas) revocation(t *testing.T, revoke func(*useragent.UA)) time.Duration {
	t.Helper()
	ua := r.login()
	var sockets []*websocket.Conn
	for _, s := range r {
		wantStatus(t, s.copyOf(ua), "/api/me", http.StatusOK)
		sockets = append(sockets, s.dial(s.copyOf(ua)))
	}
	revoke(ua)
	begun := time.Now()
	for i, s := range r {
		s.wantClosed(sockets[i], 4401, "session ended")
	}
	for _, s := range r {
		testkit.Eventually(t, "revoked", func() bool {
			return s.copyOf(ua).Fetch(http.MethodGet, "/api/me", "").Status == http.StatusUnauthorized
		})
	}
	return time.Since(begun)
}

// TestRevocationSurvivesARestart: after a restart, a service reads the deny list from the
// store.
func TestRevocationSurvivesARestart(t *testing.T) {
	store := redis(t)
	before := startReplicas(t, 1, cognitotest.Options{}, store, service{})[0]
	ua := before.login()
	thief := before.copyOf(ua)
	ua.Fetch(http.MethodPost, "/auth/logout", "")
	if err := before.stop(); err != nil {
		t.Fatal(err)
	}
	after := startReplicas(t, 1, cognitotest.Options{}, store, service{pool: before.pool})[0]
	wantStatus(t, after.copyOf(thief), "/api/me", http.StatusUnauthorized)
}

// TestRevocationInAnOutageSurvivesTheEnd: a replica that alone knows a revocation waits
// for the store before it ends.
func TestRevocationInAnOutageSurvivesTheEnd(t *testing.T) {
	store := redis(t)
	all := startReplicas(t, 2, cognitotest.Options{}, store, service{})
	ua := all[0].login()
	thief := all[1].copyOf(ua)
	store.Hang()
	testkit.Eventually(all[0].tb, "out of the store", func() bool { _, body := all[0].admin("/readyz"); return !strings.Contains(body, `"store":"ok"`) })
	ua.Fetch(http.MethodPost, "/auth/logout", "")
	wantStatus(t, thief, "/api/me", http.StatusOK) // it cannot know yet
	stopped := make(chan error, 1)
	go func() { stopped <- all[0].stop() }()
	select {
	case err := <-stopped:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(time.Second):
	}
	store.Wake()
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(all[1].tb, "revoked", func() bool { return thief.Fetch(http.MethodGet, "/api/me", "").Status == http.StatusUnauthorized })
}

// TestStoreThatHangs: requests do not wait for the store, and nobody is logged out. With
// revocation.on_outage: deny, sessions are answered with 503.
func TestStoreThatHangs(t *testing.T) {
	for onOutage, want := range map[string]int{"allow": http.StatusOK, "deny": http.StatusServiceUnavailable} {
		t.Run(onOutage, func(t *testing.T) {
			store := redis(t)
			s := startReplicas(t, 1, cognitotest.Options{}, store, service{session: "}\nrevocation: {on_outage: " + onOutage})[0]
			ua := s.login()
			wantStatus(t, ua, "/api/me", http.StatusOK)
			store.Hang()
			testkit.Eventually(s.tb, "noticed", func() bool { _, body := s.admin("/readyz"); return !strings.Contains(body, `"store":"ok"`) })
			testkit.Eventually(s.tb, "decided", func() bool { return ua.Fetch(http.MethodGet, "/api/me", "").Status == want })
			if status, _ := s.admin("/readyz"); status != want {
				t.Errorf("/readyz answers %d", status)
			}
			begun := time.Now()
			for range 200 { // if each of them waited for the store, they would take longer than the deadline
				res := ua.Fetch(http.MethodGet, "/api/me", "")
				if res.Status != want || want != http.StatusOK && res.Header.Get("Retry-After") == "" {
					t.Fatalf("answered %d %v", res.Status, res.Header)
				}
			}
			if took := time.Since(begun); took > testkit.Deadline {
				t.Errorf("200 requests took %v", took)
			}
			store.Wake()
			testkit.Eventually(s.tb, "recovered", func() bool { return ua.Fetch(http.MethodGet, "/api/me", "").Status == http.StatusOK })
			if s.log.Contains("planted-store-password") {
				t.Error("the log holds the store's password")
			}
		})
	}
}

// TestLateRequestAtAnotherReplica: a request of a session that a login in the same browser has
// replaced leaves the new cookies alone, whichever replica it reaches.
func TestLateRequestAtAnotherReplica(t *testing.T) {
	all := startReplicas(t, 2, cognitotest.Options{}, redis(t), service{})
	ua := all[0].login()
	late := all[1].copyOf(ua)
	if res := ua.Navigate("/auth/login?return_to=/open/start"); res.URL != publicURL+"/open/start" {
		t.Fatalf("the second login ended at %s: %d %s", res.URL, res.Status, res.Body)
	}
	var answer *useragent.Response
	testkit.Eventually(t, "the earlier session is over", func() bool {
		answer = late.Fetch(http.MethodGet, "/api/me", "")
		return answer.Status == http.StatusUnauthorized
	})
	if cookies := answer.Header["Set-Cookie"]; len(cookies) != 0 {
		t.Errorf("it sets %v", cookies)
	}
	if res := all[1].copyOf(ua).Fetch(http.MethodGet, "/api/me", ""); res.Status != http.StatusOK {
		t.Errorf("the new session: %d", res.Status)
	}
}
