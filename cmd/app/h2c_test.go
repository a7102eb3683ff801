package app_test

import (
	"context"
	"net"
	"net/http"
	"testing"

	"cognito-token-handler/test/cognitotest"
)

// TestHTTP2WithoutTLS: HTTP/2 without TLS is spoken only if h2c is set, and then gives
// the same answers as HTTP/1.
func TestHTTP2WithoutTLS(t *testing.T) {
	for more, want := range map[string]bool{"": false, "h2c: true": true} {
		t.Run(more, func(t *testing.T) {
			s := start(t, cognitotest.Options{}, more)
			transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, s.at.Public)
			}}
			t.Cleanup(transport.CloseIdleConnections)
			transport.Protocols = new(http.Protocols)
			transport.Protocols.SetUnencryptedHTTP2(true)
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, publicURL+"/api/me", http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			answer, err := transport.RoundTrip(r)
			if !want {
				if err == nil {
					t.Errorf("answered %d over %s", answer.StatusCode, answer.Proto)
					_ = answer.Body.Close()
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_ = answer.Body.Close()
			if answer.ProtoMajor != 2 || answer.StatusCode != http.StatusUnauthorized {
				t.Errorf("answered %d over %s", answer.StatusCode, answer.Proto)
			}
		})
	}
}
