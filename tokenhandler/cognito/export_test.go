package cognito

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// SetSleep replaces how the provider waits.
func (p *Provider) SetSleep(sleep func(context.Context, time.Duration) error) { p.sleep = sleep }

// SetTransport replaces the network.
func (p *Provider) SetTransport(next http.RoundTripper) {
	if t, ok := p.client.Transport.(*transport); ok {
		t.next, t.refreshes = next, next
	}
}

// Sleep is how a provider waits.
func Sleep(ctx context.Context, d time.Duration) error { return sleep(ctx, d) }

// RevokePatiently is [Provider.Revoke] without its time-out.
func (p *Provider) RevokePatiently(ctx context.Context, refresh secret.String) error {
	return p.revoke(ctx, refresh)
}

// CheckDocument returns the endpoints of a discovery document, or what is wrong
// with it.
func CheckDocument(overrides Endpoints, document []byte, issuer string) (Endpoints, error) {
	var d discoveryDocument
	if err := json.Unmarshal(document, &d); err != nil {
		return Endpoints{}, err
	}
	return merge(overrides, d, issuer)
}

// VerifyID checks an ID token as a login does.
func (p *Provider) VerifyID(ctx context.Context, id, access, nonce string) error {
	checked, err := p.connected.Load().verifyID(ctx, "fuzzing", secret.Tokens{ID: secret.New(id), Access: secret.New(access)})
	if err != nil {
		return err
	}
	return p.connected.Load().checkLogin("fuzzing", checked, provider.CodeGrant{Nonce: nonce, MaxAge: -1})
}

// VerifyAccess checks an access token as a login does.
func (p *Provider) VerifyAccess(ctx context.Context, access, subject string) error {
	_, err := p.connected.Load().verifyAccess(ctx, "fuzzing", secret.Tokens{Access: secret.New(access), Subject: subject})
	return err
}

// APIEndpoint returns the API of a pool.
func APIEndpoint(issuer string) (endpoint, region string) { return apiEndpoint(issuer) }

// MaxReplays is the largest number of tokens in [Replays].
const MaxReplays = maxReplays

// Replays remembers used logout tokens.
type Replays struct{ replays }

// First reports whether id was not seen before.
func (r *Replays) First(id string, until, now time.Time) bool { return r.first(id, until, now) }

// Len returns the number of remembered tokens.
func (r *Replays) Len() int { return len(r.used) }
