package valkey_test

import (
	"context"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/test/testkit"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/replicas/valkey"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

func newStore(t *testing.T, url string) (*valkey.Store, *memory.List) {
	t.Helper()
	local := memory.New(time.Now)
	store, err := valkey.New(valkey.Config{
		URL: secret.New(url), Local: local, Now: time.Now,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return store, local
}

// TestUnreachedStoreIsNotWaitedFor: before the store is reached, every call fails at once. The time of a synctest bubble stands
// still as long as nobody waits.
func TestUnreachedStoreIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, local := newStore(t, "redis://127.0.0.1:1")
		begun := time.Now()
		if got, err := store.Claim(t.Context(), session.Name{1}, 1, time.Second); err == nil {
			t.Errorf("claimed %+v", got)
		}
		if err := store.Publish(t.Context(), session.Name{1}, "", refresh.Result{Generation: 2}, time.Minute); err == nil {
			t.Error("published")
		}
		if err := store.Release(t.Context(), session.Name{1}, "lease"); err == nil {
			t.Error("released")
		}
		e := replicas.Revocation{Kind: replicas.KindSession, Name: "0123456789abcdef", Until: time.Now().Add(time.Hour)}
		if err := store.Revoke(t.Context(), e); err != nil {
			t.Error(err)
		}
		if local.Len() != 1 {
			t.Error("a revocation must count at once where it was made")
		}
		if err := store.Revoke(t.Context(), replicas.Revocation{}); err == nil {
			t.Error("a malformed entry was taken")
		}
		if store.DenyListCurrent() || store.Ready() == nil || store.Epoch() == 0 {
			t.Errorf("Ready = %v, Epoch = %d", store.Ready(), store.Epoch())
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("it took %s", took)
		}
	})
}

// TestSilentServer: a server that accepts connections and never answers is an outage.
func TestSilentServer(t *testing.T) {
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var work sync.WaitGroup
	defer work.Wait()
	defer func() { _ = listener.Close() }()
	took := make(chan net.Conn, 100)
	work.Go(func() {
		defer close(took)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			took <- conn
		}
	})
	before := runtime.NumGoroutine()
	store, _ := newStore(t, "redis://:hunter2@"+listener.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { store.Run(ctx) })
	defer func() { cancel(); running.Wait() }()
	for range 2 { // it gives up on the first, and tries again
		conn := <-took
		defer func() { _ = conn.Close() }()
	}
	err = store.Ready()
	if err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("Ready = %v", err)
	}
	begun := time.Now()
	cancel()
	running.Wait()
	if took := time.Since(begun); took > 10*time.Second {
		t.Errorf("stopping took %s while it connects", took)
	}
	for deadline := time.Now().Add(testkit.Deadline); runtime.NumGoroutine() > before; {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
		runtime.Gosched()
	}
}

func TestRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"OOM command not allowed when used memory > 'maxmemory'. script: 1f, on @user_script:7.":               "the server is full",
		"ERR Error running script (call to f_1f): @user_script:7: -OOM command not allowed when used memory >": "the server is full",
		"LOADING Redis is loading the dataset in memory":                                                       "the server is loading its data",
		"READONLY You can't write against a read only replica.":                                                "the server is a read-only replica",
		"MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.":                     "the server is a replica without its primary",
		"MISCONF Errors writing to the AOF file: No space left on device":                                      "the server cannot save its data and takes no writes",
		"NOREPLICAS Not enough good replicas to write.":                                                        "the server has too few replicas to take writes",
		"NOAUTH HELLO must be called with the client already authenticated, otherwise the":                     "the server wants a password",
		"WRONGPASS invalid username-password pair or user is disabled.":                                        "the server does not take the user and password",
		"NOPERM User secretname has no permissions to run the 'eval' command":                                  "the user lacks a permission on the server",
		"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.":               "the server is busy with a script",
		"CLUSTERDOWN Hash slot not served":                                                                     "the cluster is down",
		"MOVED 1234 10.0.0.1:6379":                                                                             "the server is one of a cluster and does not have these keys",
	} {
		why, whole := valkey.Refusal(text)
		if why.Error() != want || !whole {
			t.Errorf("%s: %v, %t", text, why, whole)
		}
	}
	for _, text := range []string{
		"WRONGTYPE Operation against a key holding the wrong kind of value",
		"ERR unknown command 'OOM'", "OOMPH", "",
	} {
		if why, whole := valkey.Refusal(text); whole || strings.Contains(why.Error(), "OOM") {
			t.Errorf("%s: %v, %t: one operation is no outage", text, why, whole)
		}
	}
}
