package cognito

import (
	"net/url"
	"slices"
	"strings"

	"golang.org/x/oauth2"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

const opLogin = "starting a login"

// ownParameters are the parameters that [provider.AuthRequest.Extra] cannot set.
// response_mode, request and request_uri are among them because they could replace
// the others or send the code elsewhere (OpenID Connect Core 1.0 §6).
//
//nolint:gochecknoglobals // a constant list
var ownParameters = []string{
	"response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce",
	"code_challenge", "code_challenge_method", "request", "request_uri",
}

// AuthorizeURL returns the URL that starts a login: code flow with state, nonce
// and PKCE S256, which Cognito supports without saying so (README "Hosts and
// discovery"). The error is [provider.ErrUnavailable] until the provider is
// connected.
func (p *Provider) AuthorizeURL(request provider.AuthRequest) (string, error) {
	c, err := p.connection(opLogin)
	if err != nil {
		return "", err
	}
	if request.State == "" || request.Nonce == "" || request.Verifier == "" {
		return "", &provider.Error{Op: opLogin, Kind: provider.ErrMisconfigured, Reason: "a login needs state, nonce and verifier"}
	}
	var options []oauth2.AuthCodeOption
	for name, value := range request.Extra {
		if !slices.Contains(ownParameters, name) {
			options = append(options, oauth2.SetAuthURLParam(name, value))
		}
	}
	options = append(options, oauth2.S256ChallengeOption(request.Verifier), oauth2.SetAuthURLParam("nonce", request.Nonce))
	if p.cfg.Profile == OIDC && request.Page == provider.PageSignup && c.createsUsers {
		// Initiating User Registration via OpenID Connect 1.0 §4. A provider that does not
		// know the value may answer with an error; without it, it shows the login.
		options = append(options, oauth2.SetAuthURLParam("prompt", "create"))
	}
	address := p.oauth(c, 0).AuthCodeURL(request.State, options...)
	path := map[provider.Page]string{provider.PageSignup: "/signup", provider.PageForgotPassword: "/forgotPassword"}[request.Page]
	if p.cfg.Profile != Cognito || path == "" {
		return address, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", &provider.Error{Op: opLogin, Kind: provider.ErrMisconfigured, Reason: "the authorization endpoint is no URL"}
	}
	u.Path, u.RawPath = path, ""
	return u.String(), nil
}

const opPasskey = "adding a passkey"

// PasskeyURL returns Cognito's page where a user adds a passkey. It asks users to sign in
// whose session at the hosted pages is over, for which it has the parameters of a login
// (README "Hosts and discovery"). It redirects to returnTo, which must be a registered
// callback URL; that may get a code, which nobody needs. The error is
// [provider.ErrUnavailable] until the provider is connected.
func (p *Provider) PasskeyURL(returnTo string) (string, error) {
	c, err := p.connection(opPasskey)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(c.endpoints.Authorization)
	if err != nil {
		return "", &provider.Error{Op: opPasskey, Kind: provider.ErrMisconfigured, Reason: "the authorization endpoint is no URL"}
	}
	u.Path, u.RawPath = "/passkeys/add", ""
	u.RawQuery = url.Values{
		"client_id": {p.cfg.ClientID}, "redirect_uri": {returnTo}, "response_type": {"code"}, "scope": {strings.Join(p.cfg.Scopes, " ")},
	}.Encode()
	return u.String(), nil
}

// LogoutURL returns the provider's logout page, which ends its own session and
// redirects to returnTo. It is "" if the provider has no such page or is not
// connected. Cognito takes client_id and logout_uri and nothing else (README
// "Logout"). Other providers get idToken, unless it is empty, as id_token_hint:
// the hint is recommended, some providers ask the user without it, and some refuse
// (OpenID Connect RP-Initiated Logout 1.0 §2). No state is sent, because nothing
// depends on the return.
func (p *Provider) LogoutURL(returnTo string, idToken secret.String) string {
	c := p.connected.Load()
	if c == nil || c.endpoints.Logout == "" {
		return ""
	}
	u, err := url.Parse(c.endpoints.Logout)
	if err != nil {
		return ""
	}
	query := u.Query()
	query.Set("client_id", p.cfg.ClientID)
	if p.cfg.Profile == Cognito {
		query.Set("logout_uri", returnTo)
	} else {
		query.Set("post_logout_redirect_uri", returnTo)
		if !idToken.IsZero() {
			query.Set("id_token_hint", idToken.Reveal())
		}
	}
	u.RawQuery = query.Encode()
	return u.String()
}
