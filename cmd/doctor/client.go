package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// client examines how the provider knows this client: its secrets, its URLs, its scopes.
func (d *doctor) client(ctx context.Context, connected *cognito.Provider, issuer *url.URL) []Finding {
	login, err := connected.AuthorizeURL(provider.AuthRequest{State: rand.Text(), Nonce: rand.Text(), Verifier: rand.Text() + rand.Text()})
	page, parseErr := url.Parse(login)
	if err := errors.Join(err, parseErr); err != nil {
		return []Finding{fault(AreaClient, "No login can begin: "+err.Error()+".", "Correct provider.domain or provider.endpoints.")}
	}
	var checks []check
	if page.Host != issuer.Host {
		checks = append(checks, check{AreaProvider, func(ctx context.Context) []Finding {
			found, _ := d.reachProvider(ctx, "The provider's domain", page)
			return found
		}})
	}
	checks = append(checks,
		check{AreaClient, func(ctx context.Context) []Finding { return d.secrets(ctx, connected) }},
		check{AreaClient, func(ctx context.Context) []Finding { return d.callback(ctx, page, app.CallbackURL(d.Service), "") }},
	)
	if d.isCognito() {
		checks = append(checks, check{AreaClient, func(ctx context.Context) []Finding {
			return d.callback(ctx, page, app.PasskeyURL(d.Service), "users who add a passkey")
		}})
	}
	checks = append(checks,
		check{AreaClient, func(ctx context.Context) []Finding {
			return d.signOut(ctx, connected, app.SignOutURL(d.Service), "")
		}},
		check{AreaClient, func(ctx context.Context) []Finding {
			return d.signOut(ctx, connected, app.SignOutReturnURL(d.Service), "logouts with return_to")
		}},
	)
	return runAll(ctx, checks)
}

// secrets redeems a made-up code with each client secret. The provider looks at the secret
// first: if it takes that, it refuses the code.
func (d *doctor) secrets(ctx context.Context, connected *cognito.Provider) (found []Finding) {
	all := d.Service.Provider.ClientSecret
	if len(all) == 0 {
		return []Finding{d.redeem(ctx, connected, "The public client")}
	}
	for i, one := range all {
		connected.ReplaceClientSecrets([]secret.String{one})
		name := "The client secret"
		if len(all) > 1 {
			name = fmt.Sprintf("The client secret number %d", i+1)
		}
		found = append(found, d.redeem(ctx, connected, name))
	}
	return found
}

func (d *doctor) redeem(ctx context.Context, connected *cognito.Provider, name string) Finding {
	_, err := connected.Exchange(ctx, provider.CodeGrant{Code: "made-up-" + rand.Text(), Verifier: rand.Text() + rand.Text(), Nonce: rand.Text(), MaxAge: -1})
	failed, _ := errors.AsType[*provider.Error](err)
	switch {
	case failed == nil:
		return fault(AreaClient, name+" redeemed a code that was made up.", "This is no provider: check provider.issuer and provider.endpoints.")
	case errors.Is(err, provider.ErrRejected):
		return good(AreaClient, "%s is accepted.", name)
	case errors.Is(err, provider.ErrUnavailable):
		return fault(AreaClient, name+" could not be tried: "+err.Error()+".", "Look at the provider's status, and at what is between here and its domain.")
	case failed.Code == "invalid_client":
		return fault(AreaClient, name+" or provider.client_id is refused: "+err.Error()+".", "Copy both again; a provider other than Cognito may want provider.client_auth: post.")
	case failed.Code == "unauthorized_client":
		return fault(AreaClient, name+" may not redeem codes: "+err.Error()+".", "Allow the client the authorization code grant, and register the callback URL "+app.CallbackURL(d.Service)+" exactly. Some providers answer so to a wrong secret, too.")
	}
	return warning(AreaClient, name+" could not be tried, because the answer to a made-up code is unexpected: "+err.Error()+".", "Log in once; if that fails, the record \"login failed\" says why.")
}

// callback asks for the page of a login that is to return to redirect. optional says who
// needs that URL, if not all users do.
func (d *doctor) callback(ctx context.Context, page *url.URL, redirect, optional string) []Finding {
	asked := *page
	query := asked.Query()
	query.Set("redirect_uri", redirect)
	asked.RawQuery = query.Encode()
	end, err := d.visit(ctx, asked.String(), redirect)
	name := "The callback URL " + redirect
	register := "Register it at the app client as an allowed callback URL, exactly as written here (`tokenhandler check` prints all of them)."
	switch {
	case err != nil:
		return []Finding{fault(AreaClient, "The provider's login page is not reached ("+string(provider.CauseOf(err))+").", "Check provider.domain, and the network to it.")}
	case end.returned && end.code != "" && end.code != "login_required":
		return []Finding{fault(AreaClient, name+" is registered, but the provider refuses the login: "+end.refusal()+".", "Allow the client the authorization code grant, and each of provider.scopes.")}
	case end.returned:
		return []Finding{good(AreaClient, "%s is registered, and the scopes are allowed.", name)}
	case end.isError():
		return []Finding{notRegistered(name, end, optional, register)}
	case end.status >= http.StatusInternalServerError:
		return []Finding{fault(AreaClient, fmt.Sprintf("The provider's login page answers %d.", end.status), "Look at the provider's status.")}
	}
	return []Finding{good(AreaClient, "%s leads to a login page, and the scopes are allowed.", name)}
}

// notRegistered is the finding for a URL that leads to an error page of the provider.
func notRegistered(name string, end landing, optional, cure string) Finding {
	what := name + " is not registered, or provider.client_id is not known: " + end.refusal() + "."
	if optional == "" {
		return fault(AreaClient, what, cure)
	}
	return warning(AreaClient, what+" Only "+optional+" need it.", cure)
}

// signOut asks for the page that ends the provider's session and is to return to back.
func (d *doctor) signOut(ctx context.Context, connected *cognito.Provider, back, optional string) []Finding {
	address := connected.LogoutURL(back, secret.String{})
	if address == "" {
		return []Finding{warning(AreaClient, "The provider has no logout page: users stay signed in there.", "Write provider.endpoints.logout, if there is one.")}
	}
	end, err := d.visit(ctx, address, back)
	name := "The sign-out URL " + back
	register := "Register it at the app client as an allowed sign-out URL, exactly as written here (`tokenhandler check` prints all of them)."
	switch {
	case err != nil:
		return []Finding{fault(AreaClient, "The provider's logout page is not reached ("+string(provider.CauseOf(err))+").", "Check provider.domain, and the network to it.")}
	case end.returned:
		return []Finding{good(AreaClient, "%s is registered.", name)}
	case end.isError() && !d.isCognito():
		// Some providers refuse a logout without id_token_hint (OpenID Connect RP-Initiated
		// Logout 1.0 §2), and this is one.
		return []Finding{warning(AreaClient, name+" could not be tried without a login: "+end.refusal()+".", "Log out once; if that ends on an error page of the provider, register the URL there.")}
	case end.isError():
		return []Finding{notRegistered(name, end, optional, register)}
	case d.isCognito():
		return []Finding{warning(AreaClient, fmt.Sprintf("%s could not be tried: the logout page answers %d and does not redirect there.", name, end.status), "Log out once and see where that ends.")}
	}
	return []Finding{good(AreaClient, "%s leads to a logout page.", name)}
}
