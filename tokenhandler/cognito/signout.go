package cognito

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/smithy-go"
	"github.com/go-jose/go-jose/v4/jwt"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// ErrNoAdminScope says that an access token cannot end a user's other logins.
var ErrNoAdminScope = errors.New("the access token lacks the scope " + AdminScope)

const (
	// AdminScope lets an access token act on its own user: without it nobody can be
	// signed out everywhere (FACTS COG-SO-01).
	AdminScope = "aws.cognito.signin.user.admin"
	opSignOut  = "signing the user out everywhere"
)

// SignOutEverywhere ends all logins of the token's user: every refresh token is
// dead, and every access token for Cognito itself (GlobalSignOut; FACTS
// COG-SO-01). It does not end the session of the hosted pages, and APIs that
// verify access tokens by themselves take them until they expire.
//
// The error is [ErrNoAdminScope], without a call, if the token lacks the scope
// or the provider is not Cognito; else an [*provider.Error], a [provider.ErrRejected] one if the
// token is no longer good.
func (p *Provider) SignOutEverywhere(ctx context.Context, access secret.String) error {
	if p.cfg.Profile != Cognito || !mayActOnUser(access) {
		return ErrNoAdminScope
	}
	if p.api == nil {
		return &provider.Error{Op: opSignOut, Kind: provider.ErrMisconfigured, Reason: "the issuer is no URL"}
	}
	ctx, cancel := context.WithTimeout(p.context(ctx, call{endpoint: endpointSignOut}), p.cfg.Timeout)
	defer cancel()
	token := access.Reveal()
	if _, err := p.api.GlobalSignOut(ctx, &cognitoidentityprovider.GlobalSignOutInput{AccessToken: &token}); err != nil {
		return apiError(opSignOut, err)
	}
	return nil
}

// mayActOnUser reads the scope of a token that was verified when it came, and
// that Cognito verifies again.
func mayActOnUser(access secret.String) bool {
	parsed, err := jwt.ParseSigned(access.Reveal(), everyAlgorithm)
	if err != nil {
		return false
	}
	var claims struct {
		Scope string `json:"scope"`
	}
	return parsed.UnsafeClaimsWithoutVerification(&claims) == nil && slices.Contains(strings.Fields(claims.Scope), AdminScope)
}

// newAPI is a client of Cognito's API for what an access token authorizes: it
// signs nothing and has no credentials. It is nil if the issuer is no URL.
func newAPI(issuer string, client *http.Client) *cognitoidentityprovider.Client {
	endpoint, region := apiEndpoint(issuer)
	if endpoint == "" {
		return nil
	}
	return cognitoidentityprovider.New(cognitoidentityprovider.Options{
		BaseEndpoint: &endpoint, Region: region, Credentials: aws.AnonymousCredentials{},
		HTTPClient: client, Retryer: aws.NopRetryer{},
	})
}

// apiEndpoint is the host of a pool's API: that of the issuer, without what
// Cognito puts before it in the newer of its two forms (FACTS COG-DISC-02).
func apiEndpoint(issuer string) (endpoint, region string) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" {
		return "", ""
	}
	host, region := u.Host, "us-east-1" // an emulator has none; nothing is signed for it
	if own := strings.TrimPrefix(host, "issuer-"); strings.HasPrefix(own, "cognito-idp.") {
		name, domain, _ := strings.Cut(strings.TrimPrefix(own, "cognito-idp."), ".")
		if domain == "amazonaws.com" || domain == "amazonaws.com.cn" {
			host, region = own, name
		}
	}
	return u.Scheme + "://" + host, region
}

// apiError classifies an error of the AWS SDK, whose text is the provider's and
// is told to nobody.
func apiError(op string, err error) *provider.Error {
	failed := networkError(op, err)
	if answered, ok := errors.AsType[interface {
		error
		HTTPStatusCode() int
		ServiceRequestID() string
	}](err); ok && answered.HTTPStatusCode() != 0 {
		failed = statusError(op, &http.Response{StatusCode: answered.HTTPStatusCode()})
		if id := answered.ServiceRequestID(); plainID.MatchString(id) {
			failed.RequestID = id
		}
	}
	if coded, ok := errors.AsType[smithy.APIError](err); ok && !errors.Is(failed, provider.ErrUnavailable) {
		switch coded.ErrorCode() {
		case "NotAuthorizedException", "UserNotFoundException":
			failed.Kind, failed.Reason = provider.ErrRejected, "the provider refused the access token"
		case "TooManyRequestsException":
			failed.Kind, failed.Reason = provider.ErrRateLimited, "the provider is busy or failing"
		case "InternalErrorException":
			failed.Kind, failed.Reason = provider.ErrUnavailable, "the provider is busy or failing"
		case "ForbiddenException", "InvalidParameterException", "OperationNotEnabledException", "ResourceNotFoundException":
			failed.Kind, failed.Reason = provider.ErrMisconfigured, "the provider refused the request"
		}
	}
	return failed
}
