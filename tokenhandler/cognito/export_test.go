package cognito

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// SetPause replaces how the provider waits.
func (p *Provider) SetPause(wait func(context.Context, time.Duration) error) { p.pause = wait }

// SetTransport replaces the network.
func (p *Provider) SetTransport(next http.RoundTripper) {
	if t, ok := p.client.Transport.(*transport); ok {
		t.next = next
	}
}

// Pause is how a provider waits.
func Pause(ctx context.Context, d time.Duration) error { return pause(ctx, d) }

// CheckDocument reports what is wrong with a discovery document.
func CheckDocument(overrides Endpoints, document []byte, issuer string) (Endpoints, error) {
	var d discoveryDocument
	if err := json.Unmarshal(document, &d); err != nil {
		return Endpoints{}, err
	}
	return merge(overrides, d, issuer)
}

// VerifyID and VerifyAccess make the checks of a login, for fuzzing.
func (p *Provider) VerifyID(ctx context.Context, id, access, nonce string) error {
	checked, err := p.verifyID(ctx, p.connected.Load(), "fuzzing", secret.Tokens{ID: secret.New(id), Access: secret.New(access)})
	if err != nil {
		return err
	}
	return p.checkLogin("fuzzing", checked, provider.CodeGrant{Nonce: nonce, MaxAge: -1})
}

// VerifyAccess is like [Provider.VerifyID] for the access token.
func (p *Provider) VerifyAccess(ctx context.Context, access, subject string) error {
	_, err := p.verifyAccess(ctx, p.connected.Load(), "fuzzing", secret.Tokens{Access: secret.New(access), Subject: subject})
	return err
}

// APIEndpoint is where Cognito's API of an issuer is.
func APIEndpoint(issuer string) (endpoint, region string) { return apiEndpoint(issuer) }

// MaxReplays bounds [Replays].
const MaxReplays = maxReplays

// Replays remembers used logout tokens.
type Replays struct{ replays }

// First reports whether id is new.
func (r *Replays) First(id string, until, now time.Time) bool { return r.first(id, until, now) }

// Len is how many are remembered.
func (r *Replays) Len() int { return len(r.used) }
