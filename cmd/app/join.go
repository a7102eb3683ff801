package app

import (
	"context"
	"errors"
	"net/http"
	"time"

	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/replicas/valkey"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

// Packages tokenhandler and oauthproxy do not import each other. Each declares the
// interface that it needs, and this file adapts the parts of the one to the interfaces
// of the other.

// verifyLogout returns the verification of back-channel logout tokens. It returns nil
// for Cognito, which sends none.
func (a *App) verifyLogout() func(context.Context, string) (provider.LogoutToken, error) {
	if cognito.Profile(a.cfg.Provider.Kind) != cognito.OIDC {
		return nil
	}
	return a.provider.VerifyLogout
}

// loginError returns what explains the descriptions of failed logins. It returns nil
// for other providers than Cognito, whose descriptions are not known.
func (a *App) loginError() func(string) provider.LoginError {
	if cognito.Profile(a.cfg.Provider.Kind) != cognito.Cognito {
		return nil
	}
	return cognito.LoginError
}

// passkeyURL returns what knows the provider's page for passkeys. It returns nil for other
// providers than Cognito, which have none that is standardised.
func (a *App) passkeyURL() func(string) (string, error) {
	if cognito.Profile(a.cfg.Provider.Kind) != cognito.Cognito {
		return nil
	}
	return a.provider.PasskeyURL
}

// groupsClaim returns the claim of access tokens that holds the user's groups.
func groupsClaim(kind string) string {
	if cognito.Profile(kind) == cognito.Cognito {
		return "cognito:groups"
	}
	return "groups"
}

// tokens adapts the login half to the API proxy's token source.
type tokens struct{ auth *tokenhandler.Handler }

// Authorize implements [oauthproxy.TokenSource].
func (t tokens) Authorize(r *http.Request, probe time.Duration) (oauthproxy.Grant, error) {
	grant, err := t.auth.Authorize(r, probe)
	if err != nil {
		return nil, err
	}
	return grant, nil
}

// folders adapts the login half to the storage's authorizer.
type folders struct{ auth *tokenhandler.Handler }

// Authorize implements [storage.Authorizer].
func (f folders) Authorize(r *http.Request) (storage.Grant, error) {
	grant, err := f.auth.Authorize(r, 0)
	if err != nil {
		return nil, err
	}
	return folderGrant{grant}, nil
}

// folderGrant is a grant that says which failed renewals end the session.
type folderGrant struct{ tokenhandler.Grant }

// Renew implements [storage.User].
func (g folderGrant) Renew(ctx context.Context) error {
	err := g.Grant.Renew(ctx)
	if errors.Is(err, refresh.ErrRejected) || errors.Is(err, refresh.ErrRevoked) {
		return web.NewProblem(web.CodeSessionExpired, "the session has ended", err)
	}
	return err
}

var (
	_ tokenhandler.Provider  = (*cognito.Provider)(nil)
	_ oauthproxy.TokenSource = tokens{}
	_ storage.Authorizer     = folders{}
	_ storage.Maps           = (*memory.Maps)(nil)
	_ storage.Maps           = (*valkey.Store)(nil)
)
