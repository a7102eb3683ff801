package main

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/tokenhandler/web"
)

// check validates the configuration, without the network, and prints what to register
// at the provider. The URLs must match exactly: with an extra trailing slash, logins
// end on an error page of the provider.
func (c *command) check(cmd *cobra.Command, _ []string) error {
	cfg, err := c.load(cmd)
	if err != nil {
		return err
	}
	// What the check of the configuration does not know, the service itself does.
	if err := app.Check(cmd.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	var text strings.Builder
	printWarnings(&text, cfg.Warnings)
	if cfg.Provider.Kind == config.KindOIDC {
		printClient(&text, cfg)
	} else {
		printAppClient(&text, cfg)
	}
	printCookies(&text, cfg)
	_, err = io.WriteString(c.stdout, text.String())
	return err
}

// printWarnings says that the configuration is good, and what may still be a mistake.
func printWarnings(w io.Writer, warnings []config.Warning) {
	if len(warnings) == 0 {
		_, _ = fmt.Fprintln(w, "The configuration is good.")
		return
	}
	_, _ = fmt.Fprintf(w, "The configuration is good, with %d warning(s):\n", len(warnings))
	for _, warning := range warnings {
		_, _ = fmt.Fprintln(w, warning)
	}
}

// printAppClient prints what to enter at Cognito, in the words of its console.
func printAppClient(w io.Writer, cfg config.Config) {
	secret := "required"
	if cfg.Provider.InsecurePublicClient {
		secret = "none (provider.insecure_public_client)"
	}
	_, _ = fmt.Fprintf(w, `
Register at the app client in Cognito, exactly as written:
  Allowed callback URL   %s
                         %s (for %s/passkeys/add)
  Allowed sign-out URL   %s
                         %s (for return_to of %s/logout)
  OAuth grant            Authorization code grant
  OpenID Connect scopes  %s
  Client secret          %s
`, app.CallbackURL(cfg), app.PasskeyURL(cfg), cfg.Auth.Path, app.SignOutURL(cfg), app.SignOutReturnURL(cfg), cfg.Auth.Path,
		strings.Join(cfg.Provider.Scopes, " "), secret)
}

// printClient prints what to enter at another provider, in the words of OpenID Connect
// Dynamic Client Registration 1.0 and the logout specifications, since providers have
// words of their own.
func printClient(w io.Writer, cfg config.Config) {
	p := cfg.Provider
	authentication := "client_secret_" + p.ClientAuth
	if p.InsecurePublicClient {
		authentication = "none (provider.insecure_public_client)"
	}
	_, _ = fmt.Fprintf(w, `
Register at the client of your OpenID provider, exactly as written:
  Redirect URI               %s
  Post-logout redirect URI   %s
                             %s (for return_to of %s/logout)
  Back-channel logout URI    %s
  Grant types                authorization_code, refresh_token
  Scopes                     %s
  Client authentication      %s
  PKCE                       S256
`, app.CallbackURL(cfg), app.SignOutURL(cfg), app.SignOutReturnURL(cfg), cfg.Auth.Path, app.BackchannelLogoutURL(cfg), strings.Join(p.Scopes, " "), authentication)
	if !slices.Contains(p.Scopes, "offline_access") {
		_, _ = fmt.Fprintln(w, `
provider.scopes has no offline_access. Many providers then issue no refresh token,
and each session ends with its access token.`)
	}
}

func printCookies(w io.Writer, cfg config.Config) {
	cookies := app.Cookies(cfg)
	_, _ = fmt.Fprintf(w, `
Cookies:
  %s (and .1 if it must be split)
  %s
  %s
  %s
`, cookies.Session, cookies.Active, cookies.Began, cookies.Login+"<id>")
	if cfg.Storage.Bucket != "" {
		_, _ = fmt.Fprintf(w, `
Storage: the bucket's CORS rules must allow %s from %s with the headers
of config/deploy/s3/cors.json, and the app's Content-Security-Policy must connect to
%s
`, strings.Join(storage.BrowserMethods(), " and "), origins(cfg), cfg.Storage.Origin())
	}
}

// origins names the origins whose pages send presigned requests.
func origins(cfg config.Config) string {
	return strings.Join(append([]string{web.Origin(cfg.PublicURL)}, cfg.AllowedOrigins...), ", ")
}
