package usercredentials

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"regexp"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentity"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"

	"cognito-token-handler/tokenhandler/secret"
)

// The kinds of credentials, as metrics and the configuration name them.
const (
	KindSessionPolicy = "session_policy"
	KindWebIdentity   = "web_identity"
	KindIdentityPool  = "identity_pool"
)

// Kinds returns all kinds.
func Kinds() []string { return []string{KindSessionPolicy, KindWebIdentity, KindIdentityPool} }

// lifetime is how long the credentials of STS are valid, in seconds: the default, and the
// longest that every role allows and that a role may ask for another (AWS STS API
// Reference, "AssumeRole"). Those of an identity pool are valid as long.
const lifetime = 3600

var (
	errNoCredentials = errors.New("the answer has no credentials")
	errNoIDToken     = errors.New("the session has no ID token")
)

// Source issues credentials for one user. It may be called concurrently, and it must
// return when ctx ends. It does not cache.
type Source func(ctx context.Context, who Holder) (Issued, error)

// Holder is the user who gets the credentials.
type Holder struct {
	// Subject is the user's stable id at the provider.
	Subject string
	// IDToken is the user's newest ID token. It may be empty or expired.
	IDToken secret.String
	// Identity is the Identity of what was issued to the user before, or "".
	Identity string
}

// Issued are the credentials of one user.
type Issued struct {
	aws.Credentials

	// Identity is the user's id in an identity pool, or "".
	Identity string
}

// RoleAssumer is the call of [SessionPolicy]. *sts.Client implements it, with the
// credentials of the service.
type RoleAssumer interface {
	AssumeRole(context.Context, *sts.AssumeRoleInput, ...func(*sts.Options)) (*sts.AssumeRoleOutput, error)
}

// SessionPolicy returns a source that assumes a role with the rights of the service, and
// restricts what it gets to the user's folder by an inline policy.
func SessionPolicy(api RoleAssumer, role string, folder Folder) Source {
	return func(ctx context.Context, who Holder) (Issued, error) {
		policy, err := folder.policy(partitionOf(role), who.Subject)
		if err != nil {
			return Issued{}, err
		}
		answer, err := api.AssumeRole(ctx, &sts.AssumeRoleInput{
			RoleArn: &role, RoleSessionName: aws.String(sessionName(who.Subject)), Policy: &policy, DurationSeconds: aws.Int32(lifetime),
		})
		if err != nil {
			return Issued{}, err
		}
		return ofSTS(answer.Credentials)
	}
}

// probePolicy allows nothing.
const probePolicy = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`

// Probe returns a provider of credentials that allow nothing. They show whether the
// service may assume the role.
func Probe(api RoleAssumer, role string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		answer, err := api.AssumeRole(ctx, &sts.AssumeRoleInput{
			RoleArn: &role, RoleSessionName: aws.String("readiness"), Policy: aws.String(probePolicy), DurationSeconds: aws.Int32(lifetime),
		})
		if err != nil {
			return aws.Credentials{}, err
		}
		issued, err := ofSTS(answer.Credentials)
		return issued.Credentials, err
	})
}

// WebIdentityAssumer is the call of [WebIdentity]. *sts.Client implements it. The call
// needs no credentials.
type WebIdentityAssumer interface {
	AssumeRoleWithWebIdentity(
		context.Context, *sts.AssumeRoleWithWebIdentityInput, ...func(*sts.Options),
	) (*sts.AssumeRoleWithWebIdentityOutput, error)
}

// WebIdentity returns a source that assumes a role with the user's ID token, and
// restricts what it gets to the user's folder by an inline policy. The role must trust
// the user pool as an OpenID provider.
func WebIdentity(api WebIdentityAssumer, role string, folder Folder) Source {
	return func(ctx context.Context, who Holder) (Issued, error) {
		if who.IDToken.IsZero() {
			return Issued{}, errNoIDToken
		}
		policy, err := folder.policy(partitionOf(role), who.Subject)
		if err != nil {
			return Issued{}, err
		}
		token := who.IDToken.Reveal()
		answer, err := api.AssumeRoleWithWebIdentity(ctx, &sts.AssumeRoleWithWebIdentityInput{
			RoleArn: &role, RoleSessionName: aws.String(sessionName(who.Subject)), WebIdentityToken: &token,
			Policy: &policy, DurationSeconds: aws.Int32(lifetime),
		})
		if err != nil {
			return Issued{}, err
		}
		return ofSTS(answer.Credentials)
	}
}

func ofSTS(issued *ststypes.Credentials) (Issued, error) {
	if issued == nil {
		return Issued{}, errNoCredentials
	}
	return Issued{Credentials: aws.Credentials{
		AccessKeyID: aws.ToString(issued.AccessKeyId), SecretAccessKey: aws.ToString(issued.SecretAccessKey),
		SessionToken: aws.ToString(issued.SessionToken), CanExpire: true, Expires: aws.ToTime(issued.Expiration),
	}}, nil
}

// sessionNames are what STS accepts as the name of a role's session.
var sessionNames = regexp.MustCompile(`^[A-Za-z0-9_+=,.@-]{2,64}$`)

// sessionName returns the name under which AWS CloudTrail shows what is done with the
// user's credentials: the subject, or a hash of it if STS would refuse it.
func sessionName(subject string) string {
	if sessionNames.MatchString(subject) {
		return subject
	}
	sum := sha256.Sum256([]byte(subject))
	return "sha256-" + hex.EncodeToString(sum[:16])
}

// PoolAPI are the two calls of [IdentityPool]. *cognitoidentity.Client implements it.
// They need no credentials.
type PoolAPI interface {
	GetId(context.Context, *cognitoidentity.GetIdInput, ...func(*cognitoidentity.Options)) (*cognitoidentity.GetIdOutput, error)
	GetCredentialsForIdentity(
		context.Context, *cognitoidentity.GetCredentialsForIdentityInput, ...func(*cognitoidentity.Options),
	) (*cognitoidentity.GetCredentialsForIdentityOutput, error)
}

// IdentityPool returns a source that exchanges the user's ID token at a Cognito identity
// pool (Amazon Cognito Developer Guide, "Identity pools authentication flow", the
// enhanced flow). The role that the pool gives must restrict the user itself, by a
// principal tag: these calls take no policy.
func IdentityPool(api PoolAPI, pool, issuer string) Source {
	login := loginOf(issuer)
	return func(ctx context.Context, who Holder) (Issued, error) {
		if who.IDToken.IsZero() {
			return Issued{}, errNoIDToken
		}
		logins := map[string]string{login: who.IDToken.Reveal()}
		identity := who.Identity
		if identity == "" {
			found, err := api.GetId(ctx, &cognitoidentity.GetIdInput{IdentityPoolId: &pool, Logins: logins})
			if err != nil {
				return Issued{}, err
			}
			identity = aws.ToString(found.IdentityId)
		}
		answer, err := api.GetCredentialsForIdentity(ctx, &cognitoidentity.GetCredentialsForIdentityInput{IdentityId: &identity, Logins: logins})
		if err != nil {
			return Issued{}, err
		}
		if answer.Credentials == nil {
			return Issued{}, errNoCredentials
		}
		issued := answer.Credentials
		return Issued{Identity: identity, Credentials: aws.Credentials{
			AccessKeyID: aws.ToString(issued.AccessKeyId), SecretAccessKey: aws.ToString(issued.SecretKey),
			SessionToken: aws.ToString(issued.SessionToken), CanExpire: true, Expires: aws.ToTime(issued.Expiration),
		}}, nil
	}
}

// loginOf returns the name of the issuer in an identity pool: its host and path. A user
// pool is registered under the first form of its issuer, whichever its tokens have.
func loginOf(issuer string) string {
	_, name, _ := strings.Cut(issuer, "://")
	if pool, updated := strings.CutPrefix(name, "issuer-cognito-idp."); updated {
		return "cognito-idp." + pool
	}
	return name
}
