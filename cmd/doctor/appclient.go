package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentityprovider/types"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
)

const describePermission = "cognito-idp:DescribeUserPoolClient"

// appClient reads the settings of the app client, if there are AWS credentials.
func (d *doctor) appClient(ctx context.Context, cfg aws.Config, credentials bool) []Finding {
	pool, region := poolOf(d.Service.Provider.Issuer)
	if region == "" {
		return nil // an emulator's
	}
	unread := func(why string) []Finding {
		return []Finding{warning(AreaClient, "The settings of the app client cannot be read: "+why+".", "Run doctor with AWS credentials of the pool's account that have the permission "+describePermission+".")}
	}
	if !credentials {
		return unread("there are no AWS credentials here")
	}
	ctx, cancel := context.WithTimeout(ctx, d.Call)
	defer cancel()
	client := cognitoidentityprovider.NewFromConfig(cfg, func(o *cognitoidentityprovider.Options) { o.Region = region })
	answer, err := client.DescribeUserPoolClient(ctx, &cognitoidentityprovider.DescribeUserPoolClientInput{ClientId: &d.Service.Provider.ClientID, UserPoolId: &pool})
	switch {
	case err != nil && codeOf(err) == "ResourceNotFoundException":
		return []Finding{fault(AreaClient, "The user pool "+quoted(pool)+" has no app client provider.client_id, or these AWS credentials are of another account.", "Copy provider.client_id again.")}
	case err != nil:
		return unread(describeAWS(err))
	case answer.UserPoolClient == nil:
		return unread("the answer is empty")
	}
	return judgeAppClient(answer.UserPoolClient, d.Service)
}

// poolID matches the id of a user pool, which begins with its region.
var poolID = regexp.MustCompile(`^([a-z]{2}(?:-[a-z]+)+-[0-9])_[A-Za-z0-9]+$`)

// poolOf returns the id and the region of the user pool with this issuer. The region is
// empty if the pool is not one of AWS.
func poolOf(issuer string) (pool, region string) {
	u, err := url.Parse(issuer)
	if err != nil {
		return "", ""
	}
	pool = strings.Trim(u.Path, "/")
	if found := poolID.FindStringSubmatch(pool); found != nil {
		region = found[1]
	}
	return pool, region
}

// judgeAppClient compares the settings of the app client with the configuration.
func judgeAppClient(c *types.UserPoolClientType, cfg config.Config) []Finding {
	j := &clientJudge{client: c, cfg: cfg}
	j.flows()
	j.secret()
	j.urls()
	j.lifetimes()
	j.rotation()
	if !aws.ToBool(c.EnableTokenRevocation) {
		j.add(warning(AreaClient, "Token revocation is off at the app client: a logout leaves the refresh token alive.", "Switch on EnableTokenRevocation."))
	}
	if len(j.found) == 0 {
		j.add(good(AreaClient, "The settings of the app client fit the configuration."))
	}
	return j.found
}

type clientJudge struct {
	client *types.UserPoolClientType
	cfg    config.Config
	found  []Finding
}

func (j *clientJudge) add(f Finding) { j.found = append(j.found, f) }

// flows looks at grants and scopes.
func (j *clientJudge) flows() {
	c := j.client
	if !aws.ToBool(c.AllowedOAuthFlowsUserPoolClient) || !slices.Contains(c.AllowedOAuthFlows, types.OAuthFlowTypeCode) {
		j.add(fault(AreaClient, "The app client may not use the authorization code grant.", "Allow it: AllowedOAuthFlows code, with AllowedOAuthFlowsUserPoolClient."))
	}
	if slices.Contains(c.AllowedOAuthFlows, types.OAuthFlowTypeImplicit) {
		j.add(warning(AreaClient, "The app client may use the implicit grant, which sends tokens to browsers.", "Allow the authorization code grant alone."))
	}
	for _, scope := range j.cfg.Provider.Scopes {
		if !slices.Contains(c.AllowedOAuthScopes, scope) {
			j.add(fault(AreaClient, "The app client may not ask for the scope "+quoted(scope)+" of provider.scopes.", "Allow it at the app client, or remove it from provider.scopes."))
		}
	}
}

func (j *clientJudge) secret() {
	has := aws.ToString(j.client.ClientSecret) != ""
	switch public := j.cfg.Provider.InsecurePublicClient; {
	case has && public:
		j.add(fault(AreaClient, "The app client has a secret, and provider.insecure_public_client is true.", "Set provider.client_secret_file instead."))
	case !has && !public:
		j.add(fault(AreaClient, "The app client has no secret, and the configuration has one.", "Make a new app client with a secret; an existing one cannot get one."))
	}
}

func (j *clientJudge) urls() {
	for _, u := range []struct {
		name, address string
		registered    []string
		required      bool
	}{
		{"callback URL", app.CallbackURL(j.cfg), j.client.CallbackURLs, true},
		{"callback URL", app.PasskeyURL(j.cfg), j.client.CallbackURLs, false},
		{"sign-out URL", app.SignOutURL(j.cfg), j.client.LogoutURLs, true},
		{"sign-out URL", app.SignOutReturnURL(j.cfg), j.client.LogoutURLs, false},
	} {
		if slices.Contains(u.registered, u.address) {
			continue
		}
		what, cure := "The app client does not list the "+u.name+" "+u.address+".", "Register it, exactly as written here."
		if u.required {
			j.add(fault(AreaClient, what, cure))
		} else {
			j.add(warning(AreaClient, what, cure))
		}
	}
}

// The lifetimes of Cognito's tokens unless the client has others, and the longest one of an
// access token that is not warned about.
const (
	defaultAccessLife  = time.Hour
	defaultRefreshLife = 30 * 24 * time.Hour
	longAccessLife     = time.Hour
)

func (j *clientJudge) lifetimes() {
	units := j.client.TokenValidityUnits
	if units == nil {
		units = &types.TokenValidityUnitsType{}
	}
	access := lifetime(aws.ToInt32(j.client.AccessTokenValidity), units.AccessToken, types.TimeUnitsTypeHours, defaultAccessLife)
	refresh := lifetime(j.client.RefreshTokenValidity, units.RefreshToken, types.TimeUnitsTypeDays, defaultRefreshLife)
	s := j.cfg.Session
	if access > longAccessLife {
		j.add(warning(AreaClient, fmt.Sprintf("Access tokens live %s: APIs that verify them by themselves accept them for so long after a logout.", access), "Make it 5 to 60 minutes."))
	}
	if s.RefreshBefore >= access {
		j.add(fault(AreaClient, fmt.Sprintf("session.refresh_before is %s, and access tokens live %s: every request would refresh.", s.RefreshBefore, access), "Write a session.refresh_before well below that."))
	}
	if refresh < s.AbsoluteLifetime {
		j.add(warning(AreaClient, fmt.Sprintf("Refresh tokens live %s, and session.absolute_lifetime is %s: sessions end with their refresh token.", refresh, s.AbsoluteLifetime), "Make the refresh tokens live as long as sessions."))
	}
}

// lifetime returns a lifetime of tokens. Without a number it is the default, and without a
// unit that of AWS.
func lifetime(number int32, unit, unitDefault types.TimeUnitsType, otherwise time.Duration) time.Duration {
	if number == 0 {
		return otherwise
	}
	switch cmp.Or(unit, unitDefault) {
	case types.TimeUnitsTypeSeconds:
		return time.Duration(number) * time.Second
	case types.TimeUnitsTypeMinutes:
		return time.Duration(number) * time.Minute
	case types.TimeUnitsTypeHours:
		return time.Duration(number) * time.Hour
	case types.TimeUnitsTypeDays:
		return time.Duration(number) * 24 * time.Hour
	}
	return otherwise
}

// safeGrace is the grace period with which replicas need no store.
const safeGrace = 10 * time.Second

// rotation compares the grace period of refresh tokens with provider.rotation_grace.
func (j *clientJudge) rotation() {
	configured := j.cfg.Provider.RotationGrace
	r := j.client.RefreshTokenRotation
	if r == nil || r.Feature != types.FeatureTypeEnabled {
		if configured > 0 {
			j.add(warning(AreaClient, fmt.Sprintf("provider.rotation_grace is %s, but the app client does not rotate refresh tokens.", configured), "Remove provider.rotation_grace, or switch the rotation on."))
		}
		return
	}
	grace := time.Duration(aws.ToInt32(r.RetryGracePeriodSeconds)) * time.Second
	switch {
	case configured > grace:
		j.add(fault(AreaClient, fmt.Sprintf("provider.rotation_grace is %s, but the app client's grace period is %s: sessions may be lost.", configured, grace), fmt.Sprintf("Write provider.rotation_grace: %s, or set RetryGracePeriodSeconds to %d.", grace, int(configured.Seconds()))))
	case configured < grace:
		j.add(warning(AreaClient, fmt.Sprintf("The app client's grace period is %s, and provider.rotation_grace is %s.", grace, configured), fmt.Sprintf("Write provider.rotation_grace: %s.", grace)))
	}
	if grace < safeGrace && j.cfg.Session.Store.IsZero() {
		j.add(warning(AreaClient, fmt.Sprintf("The app client rotates refresh tokens with a grace period of %s, and there is no session.store: an answer that is lost loses a session, and so may several replicas.", grace), "Set RetryGracePeriodSeconds to 10 or more, or session.store."))
	}
}
