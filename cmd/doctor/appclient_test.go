package doctor_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"

	"cognito-token-handler/cmd/doctor"
	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/secret"
)

// TestSettingsOfTheAppClient changes one thing at a time in a client and a configuration
// that fit.
func TestSettingsOfTheAppClient(t *testing.T) {
	base := setup{}.load(t)
	rotation := func(grace int32) *types.RefreshTokenRotationType {
		return &types.RefreshTokenRotationType{Feature: types.FeatureTypeEnabled, RetryGracePeriodSeconds: &grace}
	}
	for _, tt := range []struct {
		name       string
		change     func(*types.UserPoolClientType, *config.Config)
		level      doctor.Level
		what, cure string
	}{
		{"nothing", func(*types.UserPoolClientType, *config.Config) {}, doctor.Good, "fit the configuration", ""},
		{"no flows", func(c *types.UserPoolClientType, _ *config.Config) { c.AllowedOAuthFlowsUserPoolClient = nil }, doctor.Fault, "authorization code grant", "AllowedOAuthFlows"},
		{"another flow", func(c *types.UserPoolClientType, _ *config.Config) {
			c.AllowedOAuthFlows = []types.OAuthFlowType{types.OAuthFlowTypeClientCredentials}
		}, doctor.Fault, "authorization code grant", "AllowedOAuthFlows"},
		{"implicit", func(c *types.UserPoolClientType, _ *config.Config) {
			c.AllowedOAuthFlows = append(c.AllowedOAuthFlows, types.OAuthFlowTypeImplicit)
		}, doctor.Warning, "implicit grant", "alone"},
		{"scope", func(_ *types.UserPoolClientType, c *config.Config) {
			c.Provider.Scopes = []string{"openid", "orders/read"}
		}, doctor.Fault, `"orders/read"`, "provider.scopes"},
		{"secret", func(c *types.UserPoolClientType, _ *config.Config) { c.ClientSecret = nil }, doctor.Fault, "has no secret", "new app client"},
		{"public", func(_ *types.UserPoolClientType, c *config.Config) { c.Provider.InsecurePublicClient = true }, doctor.Fault, "has a secret", "client_secret_file"},
		{"callback", func(c *types.UserPoolClientType, _ *config.Config) { c.CallbackURLs = c.CallbackURLs[1:] }, doctor.Fault, "/auth/callback", "exactly"},
		{"passkeys", func(c *types.UserPoolClientType, _ *config.Config) { c.CallbackURLs = c.CallbackURLs[:1] }, doctor.Warning, "/auth/passkeys/done", "exactly"},
		{"sign-out", func(c *types.UserPoolClientType, _ *config.Config) { c.LogoutURLs = c.LogoutURLs[1:] }, doctor.Fault, publicURL + "/.", "exactly"},
		{"sign-out return", func(c *types.UserPoolClientType, _ *config.Config) { c.LogoutURLs = c.LogoutURLs[:1] }, doctor.Warning, "/auth/logout/done", "exactly"},
		{"revocation", func(c *types.UserPoolClientType, _ *config.Config) { c.EnableTokenRevocation = nil }, doctor.Warning, "revocation is off", "EnableTokenRevocation"},
		{"long access", func(c *types.UserPoolClientType, _ *config.Config) { c.AccessTokenValidity = aws.Int32(24) }, doctor.Warning, "Access tokens live 24h0m0s", "5 to 60 minutes"},
		{"short access", func(c *types.UserPoolClientType, _ *config.Config) {
			c.AccessTokenValidity, c.TokenValidityUnits = aws.Int32(60), &types.TokenValidityUnitsType{AccessToken: types.TimeUnitsTypeSeconds}
		}, doctor.Fault, "every request would refresh", "refresh_before"},
		{"short refresh", func(c *types.UserPoolClientType, _ *config.Config) {
			c.RefreshTokenValidity, c.TokenValidityUnits = 60, &types.TokenValidityUnitsType{RefreshToken: types.TimeUnitsTypeMinutes}
		}, doctor.Warning, "Refresh tokens live 1h0m0s", "as long as sessions"},
		{"refresh in days", func(c *types.UserPoolClientType, _ *config.Config) { c.RefreshTokenValidity = 30 }, doctor.Good, "fit", ""},
		{"grace for nothing", func(_ *types.UserPoolClientType, c *config.Config) { c.Provider.RotationGrace = 10 * time.Second }, doctor.Warning, "does not rotate", "Remove provider.rotation_grace"},
		{"grace too long", func(u *types.UserPoolClientType, c *config.Config) {
			u.RefreshTokenRotation, c.Provider.RotationGrace = rotation(10), 30*time.Second
		}, doctor.Fault, "grace period is 10s: sessions may be lost", "rotation_grace: 10s"},
		{"grace not used", func(u *types.UserPoolClientType, _ *config.Config) { u.RefreshTokenRotation = rotation(60) }, doctor.Warning, "grace period is 1m0s, and provider.rotation_grace is 0s", "rotation_grace: 1m0s"},
		{"grace fits", func(u *types.UserPoolClientType, c *config.Config) {
			u.RefreshTokenRotation, c.Provider.RotationGrace = rotation(10), 10*time.Second
		}, doctor.Good, "fit", ""},
		{"no grace", func(u *types.UserPoolClientType, _ *config.Config) { u.RefreshTokenRotation = rotation(0) }, doctor.Warning, "there is no session.store", "10 or more"},
		{"no grace, but a store", func(u *types.UserPoolClientType, c *config.Config) {
			u.RefreshTokenRotation, c.Session.Store = rotation(0), secret.New("redis://localhost")
		}, doctor.Good, "fit", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			client := &types.UserPoolClientType{
				ClientSecret: aws.String("planted-secret"), AllowedOAuthFlowsUserPoolClient: aws.Bool(true), AllowedOAuthFlows: []types.OAuthFlowType{types.OAuthFlowTypeCode},
				AllowedOAuthScopes: []string{"openid", "email", "profile"}, EnableTokenRevocation: aws.Bool(true),
				CallbackURLs: []string{publicURL + "/auth/callback", publicURL + "/auth/passkeys/done"}, LogoutURLs: []string{publicURL + "/", publicURL + "/auth/logout/done"},
			}
			cfg := base
			tt.change(client, &cfg)
			r := read(t, doctor.JudgeAppClient(client, cfg))
			want(t, r, doctor.AreaClient, tt.level, tt.what, tt.cure)
			if len(r.Findings) != 1 {
				t.Errorf("%d findings", len(r.Findings))
			}
		})
	}
}
