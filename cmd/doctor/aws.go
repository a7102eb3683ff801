package doctor

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"regexp"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/oauthproxy/storage/usercredentials"
	"cognito-token-handler/tokenhandler/provider"
)

// aws examines AWS: whose credentials these are, the bucket, and the app client.
func (d *doctor) aws(ctx context.Context) []Finding {
	cfg, found, ok := d.identity(ctx)
	var checks []check
	if d.isCognito() {
		checks = append(checks, check{AreaClient, func(ctx context.Context) []Finding { return d.appClient(ctx, cfg, ok) }})
	}
	if d.Service.Storage.Bucket != "" {
		if role := d.Service.Storage.RoleARN; ok && d.Service.Storage.Credentials == usercredentials.KindSessionPolicy {
			checks = append(checks, check{AreaAWS, func(ctx context.Context) []Finding { return d.role(ctx, cfg, role) }})
		}
		checks = append(checks, check{AreaBucket, func(ctx context.Context) []Finding { return d.bucket(ctx, cfg, ok) }})
	}
	return append(found, runAll(ctx, checks)...)
}

// needsAWS reports whether the service itself needs AWS credentials.
func (d *doctor) needsAWS() bool {
	store, err := url.Parse(d.Service.Session.Store.Reveal())
	iam := err == nil && store.Query().Get("iam") == "true"
	return iam || d.Service.Storage.Bucket != "" && !d.Service.Storage.NeedsIDToken()
}

// identity asks AWS whose credentials these are. It reports false if there are none that
// AWS accepts.
func (d *doctor) identity(ctx context.Context) (aws.Config, []Finding, bool) {
	ctx, cancel := context.WithTimeout(ctx, 2*d.Call)
	defer cancel()
	cfg, err := app.AWSConfig(ctx, d.Service.Storage.Region)
	if err != nil {
		return cfg, []Finding{fault(AreaAWS, err.Error()+".", "Correct the AWS variables and files of this user.")}, false
	}
	cfg.RetryMaxAttempts = 1
	_, region := poolOf(d.Service.Provider.Issuer)
	cfg.Region = cmp.Or(cfg.Region, region, "us-east-1")
	if cfg.Credentials != nil {
		_, err = cfg.Credentials.Retrieve(ctx)
	}
	const cure = "Give the service a role (EKS, ECS, EC2), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
	switch {
	case cfg.Credentials != nil && err == nil:
	case d.needsAWS():
		return cfg, []Finding{fault(AreaAWS, "There are no AWS credentials, and the service needs some.", cure)}, false
	default:
		return cfg, nil, false
	}
	who, err := sts.NewFromConfig(cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	switch {
	case err == nil:
		return cfg, []Finding{good(AreaAWS, "The AWS credentials are those of %s.", quoted(aws.ToString(who.Arn)))}, true
	case codeOf(err) != "" && !d.needsAWS():
		return cfg, []Finding{warning(AreaAWS, "AWS refuses the credentials, which the service does not need: "+codeOf(err)+".", "Replace or remove them.")}, false
	case codeOf(err) != "":
		return cfg, []Finding{fault(AreaAWS, "AWS refuses the credentials: "+codeOf(err)+".", "Replace them; if they are good, correct the clock of this machine.")}, false
	}
	return cfg, []Finding{warning(AreaAWS, "AWS STS is not reached, so nobody knows whose credentials these are ("+string(provider.CauseOf(err))+").", "Check the network to sts."+cfg.Region+".amazonaws.com, or AWS_ENDPOINT_URL_STS.")}, true
}

// role assumes the role with which the users' credentials are made.
func (d *doctor) role(ctx context.Context, cfg aws.Config, role string) []Finding {
	ctx, cancel := context.WithTimeout(ctx, d.Call)
	defer cancel()
	if _, err := usercredentials.Probe(sts.NewFromConfig(cfg), role).Retrieve(ctx); err != nil {
		return []Finding{fault(AreaAWS, "storage.role_arn cannot be assumed: "+describeAWS(err)+".", "Compare the trust of the role and the policy of the service with config/deploy/s3, and run doctor with the credentials of the service.")}
	}
	return []Finding{good(AreaAWS, "storage.role_arn can be assumed.")}
}

// plainCode matches the codes of errors of AWS. Other text of AWS is not shown.
var plainCode = regexp.MustCompile(`^[A-Za-z0-9._]{1,64}$`)

// codeOf returns the code of an error of AWS, or "" if AWS did not answer.
func codeOf(err error) string {
	api, ok := errors.AsType[smithy.APIError](err)
	switch {
	case !ok:
		return ""
	case plainCode.MatchString(api.ErrorCode()):
		return api.ErrorCode()
	}
	return "an unknown error"
}

// describeAWS says why a call to AWS failed.
func describeAWS(err error) string {
	if code := codeOf(err); code != "" {
		return "AWS answers " + code
	}
	if errors.Is(err, storage.ErrDenied) {
		return storage.ErrDenied.Error()
	}
	return "AWS is not reached (" + string(provider.CauseOf(err)) + ")"
}
