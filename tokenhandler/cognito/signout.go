package cognito

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/smithy-go"
	"github.com/go-jose/go-jose/v4/jwt"

	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/secret"
)

// ErrNoAdminScope means that an access token cannot end the user's other logins.
var ErrNoAdminScope = errors.New("the access token lacks the scope " + AdminScope)

const (
	// AdminScope is the scope with which an access token may act on its own user.
	// Signing a user out everywhere requires it (README "Revocation").
	AdminScope = "aws.cognito.signin.user.admin"
	opSignOut  = "signing the user out everywhere"
)

// SignOutEverywhere ends all logins of the token's user by GlobalSignOut: all
// refresh tokens are revoked, and Cognito accepts no access token any more. It
// does not end the session of the hosted pages, and APIs that verify access tokens
// by themselves accept them until they expire (README "Revocation"). It takes at
// most [revokeTimeout] and goes on when ctx is cancelled.
//
// The error is [ErrNoAdminScope], without a call, if the token lacks the scope or
// the provider is not Cognito. Otherwise it is a [*provider.Error], which is
// [provider.ErrRejected] if the token is no longer accepted.
func (p *Provider) SignOutEverywhere(ctx context.Context, access secret.String) error {
	if p.cfg.Profile != Cognito || !mayActOnUser(access) {
		return ErrNoAdminScope
	}
	if p.api == nil {
		return &provider.Error{Op: opSignOut, Kind: provider.ErrMisconfigured, Reason: "the issuer is no URL"}
	}
	ctx, cancel := untilRevoked(p.context(ctx, call{endpoint: endpointSignOut}))
	defer cancel()
	token := access.Reveal()
	if _, err := p.api.GlobalSignOut(ctx, &cognitoidentityprovider.GlobalSignOutInput{AccessToken: &token}); err != nil {
		return apiError(opSignOut, err)
	}
	return nil
}

// mayActOnUser reports whether the token has [AdminScope]. It does not verify the
// token, which was verified when it was issued and which Cognito verifies again.
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

// newAPI returns a client of Cognito's API for operations that an access token
// authorizes: it has no credentials and signs nothing. It is nil if the issuer is
// no URL.
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

// apiEndpoint returns the API of a pool: the host of its issuer, without the prefix
// of the newer of the two forms of issuer (README "Hosts and discovery").
func apiEndpoint(issuer string) (endpoint, region string) {
	u, err := url.Parse(issuer)
	if err != nil || u.Host == "" {
		return "", ""
	}
	host, region := u.Host, "us-east-1" // for an emulator, which has no region; nothing is signed
	if own := strings.TrimPrefix(host, "issuer-"); strings.HasPrefix(own, "cognito-idp.") {
		name, domain, _ := strings.Cut(strings.TrimPrefix(own, "cognito-idp."), ".")
		if domain == "amazonaws.com" || domain == "amazonaws.com.cn" {
			host, region = own, name
		}
	}
	return u.Scheme + "://" + host, region
}

// apiError converts an error of the AWS SDK. It keeps no text of err, because that
// comes from the provider.
func apiError(op string, err error) *provider.Error {
	failed := networkError(op, err)
	if answered, ok := errors.AsType[*awshttp.ResponseError](err); ok && answered.HTTPStatusCode() != 0 {
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
