package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/middleware"

	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/tracing"
)

// The two halves do not know each other, and neither knows the provider's
// package: here their words are translated.

// provider is a cognito.Provider in the login half's words.
type provider struct {
	*cognito.Provider

	issuer string
}

// AuthorizeURL implements [tokenhandler.Provider].
func (p provider) AuthorizeURL(r tokenhandler.AuthRequest) (string, error) {
	return p.Provider.AuthorizeURL(cognito.AuthRequest{
		Page: cognito.Page(r.Page), State: r.State, Nonce: r.Nonce, Verifier: r.Verifier, Extra: r.Extra,
	})
}

// Exchange implements [tokenhandler.Provider].
func (p provider) Exchange(ctx context.Context, g tokenhandler.CodeGrant) (secret.Tokens, error) {
	return p.Provider.Exchange(ctx, cognito.CodeGrant(g))
}

// Issuer implements [tokenhandler.Provider].
func (p provider) Issuer() string { return p.issuer }

// verifyLogout is nil for Cognito, which sends no logout tokens.
func (a *App) verifyLogout() func(context.Context, string) (sub, sid string, err error) {
	if cognito.Profile(a.cfg.Provider.Kind) != cognito.OIDC {
		return nil
	}
	return func(ctx context.Context, raw string) (sub, sid string, err error) {
		token, err := a.provider.VerifyLogout(ctx, raw)
		return token.Subject, token.SID, err
	}
}

// groupsClaim is where access tokens hold the user's groups.
func groupsClaim(kind string) string {
	if cognito.Profile(kind) == cognito.Cognito {
		return "cognito:groups"
	}
	return "groups"
}

// tokens is the login half as the API proxy's token source.
type tokens struct{ auth *tokenhandler.Handler }

// Authorize implements [oauthproxy.TokenSource].
func (t tokens) Authorize(r *http.Request, probe time.Duration) (oauthproxy.Grant, error) {
	grant, err := t.auth.Authorize(r, probe)
	if err != nil {
		return nil, err
	}
	return grant, nil
}

// Permits implements [oauthproxy.TokenSource].
func (tokens) Permits(g oauthproxy.Grant, scopes, groups []string) bool {
	grant, ours := g.(tokenhandler.Grant)
	return ours && grant.Permits(scopes, groups)
}

// folders is the login half as the storage's authorizer.
type folders struct{ auth *tokenhandler.Handler }

// Authorize implements [storage.Authorizer].
func (f folders) Authorize(r *http.Request) (storage.Grant, error) {
	grant, err := f.auth.Authorize(r, 0)
	if err != nil {
		return nil, err
	}
	return grant, nil
}

// awsCredentials are the service's own, from where the AWS SDK looks for them:
// environment, shared files, web identity, container or instance role.
// One lookup serves all who wait for it, and the SDK gives it no end of its own:
// without a time-out for each call, in which an answer must have come, one that
// hangs would keep every later upload waiting.
func awsCredentials(ctx context.Context, region string, timeout time.Duration, tracer *tracing.Tracer) (aws.CredentialsProvider, error) {
	client := awshttp.NewBuildableClient().WithTimeout(timeout)
	cfg, err := awsconfig.LoadDefaultConfig(ctx, awsconfig.WithRegion(region), awsconfig.WithHTTPClient(client),
		awsconfig.WithAPIOptions([]func(*middleware.Stack) error{traceAWS(tracer)}))
	if err != nil {
		return nil, fmt.Errorf("loading AWS configuration: %w", err)
	}
	if cfg.Credentials == nil {
		return nil, errors.New("no AWS credentials are configured")
	}
	return cfg.Credentials, nil
}

var (
	_ tokenhandler.Provider  = provider{}
	_ oauthproxy.TokenSource = tokens{}
	_ storage.Authorizer     = folders{}
)
