//go:build e2e

package valkey_test

import (
	"context"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cognito-token-handler/test/redislocal"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/replicas/valkey"
	"cognito-token-handler/tokenhandler/secret"
)

// TestLoginWithTokens runs against a server with TLS that accepts one token after the other as the password of its user, as
// ElastiCache does. The clock of the store stands still, so that the test knows its tokens.
func TestLoginWithTokens(t *testing.T) {
	t.Parallel()
	server := serve(t, redislocal.Options{CertFile: certFile, KeyFile: keyFile, Password: "admin"})
	url := "rediss://app@" + net.JoinHostPort("localhost", strconv.Itoa(server.Port)) + "?iam=true&cache=my-cache&region=eu-central-1"
	admin := func(words ...string) {
		t.Helper()
		if got, err := server.Command(t.Context(), words...); err != nil || strings.HasPrefix(got, "ERR") {
			t.Fatalf("%s: %q, %v", words[0], got, err)
		}
	}
	accept := func(token string) { // and no other
		t.Helper()
		admin(append([]string{"ACL", "SETUSER", "app", "resetpass", ">" + token, "on"}, permissions()...)...)
	}
	tokenAt := func(now time.Time) string {
		t.Helper()
		token, err := valkey.Token(t.Context(), url, aws.CredentialsProviderFunc(awsKeys), now)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	var mu sync.Mutex
	offset := time.Duration(0) // of the clock of the store, which else stands still
	start := time.Now()
	now := func() time.Time { mu.Lock(); defer mu.Unlock(); return start.Add(offset) }
	accept(tokenAt(start))
	var regions []string
	store, err := valkey.New(valkey.Config{
		URL: secret.New(url), Local: memory.New(time.Now), Now: now,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Credentials: func(region string) (aws.CredentialsProvider, error) {
			regions = append(regions, region)
			return aws.CredentialsProviderFunc(awsKeys), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	run(t, store)
	eventually(t, "the store is ready", func() bool { return store.Ready() == nil })
	if len(regions) != 1 || regions[0] != "eu-central-1" {
		t.Errorf("credentials for %q", regions)
	}

	// The first token has expired; connections that are open stay open.
	func() { mu.Lock(); defer mu.Unlock(); offset = time.Hour }()
	accept(tokenAt(now()))
	persist(t, func(ctx context.Context) error { return store.Release(ctx, id, "lease") })

	// New connections log in with a new token.
	admin("CLIENT", "KILL", "USER", "app")
	eventually(t, "the store is ready", func() bool { return store.Ready() == nil })
	persist(t, func(ctx context.Context) error { return store.Release(ctx, id, "lease") })

	// A token that the server does not accept is an outage with that reason.
	admin("ACL", "SETUSER", "app", "resetpass", ">another")
	admin("CLIENT", "KILL", "USER", "app")
	eventually(t, "the refusal", func() bool {
		err := store.Ready()
		return err != nil && strings.Contains(err.Error(), "does not take the user and password")
	})
	if err := store.Ready(); strings.Contains(err.Error(), "X-Amz") {
		t.Errorf("the token is in %q", err)
	}
	accept(tokenAt(now()))
	eventually(t, "the store is ready", func() bool { return store.Ready() == nil })
}
