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
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/tracing"
)

// tokenhandler and oauthproxy do not know each other, and neither knows package
// cognito. This file makes the parts of the one what the other asks for.

// verifyLogout is nil for Cognito, which sends no logout tokens.
func (a *App) verifyLogout() func(context.Context, string) (provider.LogoutToken, error) {
	if cognito.Profile(a.cfg.Provider.Kind) != cognito.OIDC {
		return nil
	}
	return a.provider.VerifyLogout
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
	_ tokenhandler.Provider  = (*cognito.Provider)(nil)
	_ oauthproxy.TokenSource = tokens{}
	_ storage.Authorizer     = folders{}
)
