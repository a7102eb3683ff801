package cognito_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// failing is a network on which every request fails.
type failing struct{ err error }

func (f failing) RoundTrip(*http.Request) (*http.Response, error) { return nil, f.err }

// TestUnreachableProviderNamesTheCause: in the error, in Ready and in the metric, with
// no text of the other side.
func TestUnreachableProviderNamesTheCause(t *testing.T) {
	const planted = "planted-remote-text"
	for cause, err := range map[provider.Cause]error{
		provider.CauseDNS:   &net.DNSError{Err: planted},
		provider.CauseTLS:   &net.OpError{Op: "remote error", Err: errors.New(planted)},
		provider.CauseReset: fmt.Errorf("%s: %w", planted, io.ErrUnexpectedEOF),
		provider.CauseOther: errors.New(planted),
	} {
		metrics := cognito.NewMetrics(prometheus.NewRegistry())
		if n := testutil.CollectAndCount(metrics.Unreachable); n != len(provider.Causes()) {
			t.Errorf("%d causes are there from the start", n)
		}
		p := newParty(t, cognitotest.Options{}, func(c *cognito.Config) { c.Metrics, c.Transport = metrics, failing{err} })
		connected := p.Connect(t.Context())
		p.wantKind(connected, provider.ErrUnavailable)
		p.SetSleep(func(context.Context, time.Duration) error { return context.Canceled })
		p.Run(t.Context())
		for what, got := range map[string]error{"Connect": connected, "Ready": p.Ready()} {
			if !strings.HasSuffix(got.Error(), "the provider was not reached ("+string(cause)+")") {
				t.Errorf("%s: %v, want %s", what, got, cause)
			}
		}
		if got := testutil.ToFloat64(metrics.Unreachable.WithLabelValues(string(cause))); got != 2 {
			t.Errorf("%s: counted %v", cause, got)
		}
		if log := p.log.String(); !strings.Contains(log, "("+string(cause)+")") || strings.Contains(log, planted) {
			t.Errorf("%s: the log is %s", cause, log)
		}
	}
}

// TestRefreshNamesTheCause: calls after the connection, too.
func TestRefreshNamesTheCause(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	p.SetTransport(failing{&net.DNSError{Err: "x"}})
	_, err := p.Refresh(t.Context(), secret.Tokens{Refresh: secret.New("token"), Subject: "sub"})
	if failed, ok := errors.AsType[*provider.Error](err); !ok || failed.Cause != provider.CauseDNS {
		t.Errorf("got %v", err)
	}
}

// TestKeysThatCannotBeFetchedNameTheCause: a token signed with a new key cannot be verified.
func TestKeysThatCannotBeFetchedNameTheCause(t *testing.T) {
	for what, verify := range map[string]func(*party) error{
		"login": func(p *party) error { _, err := p.login(); return err },
		"back-channel logout": func(p *party) error {
			_, err := p.VerifyLogout(t.Context(), p.pool.LogoutToken("some-sub", ""))
			return err
		},
	} {
		p := connectedParty(t, cognitotest.Options{OpenID: true}, openID)
		p.pool.RotateKeys()
		p.pool.Break(cognitotest.JWKS, cognitotest.Reset(), 0)
		err := verify(p)
		if failed, ok := errors.AsType[*provider.Error](err); !ok || failed.Cause != provider.CauseReset {
			t.Errorf("%s: %v", what, err)
		}
	}
}
