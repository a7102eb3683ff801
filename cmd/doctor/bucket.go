package doctor

import (
	"context"
	"errors"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/tokenhandler/provider"
	"cognito-token-handler/tokenhandler/web"
)

// trialUser is the name of a folder that belongs to no user.
const trialUser = "doctor"

// bucket examines the bucket: CORS as a browser does, its settings with the AWS credentials
// that are here, and the folders as the service uses them.
func (d *doctor) bucket(ctx context.Context, cfg aws.Config, authorized bool) []Finding {
	// What is asked without credentials is signed all the same, and nothing of it is sent.
	credentials := aws.Credentials{AccessKeyID: "none", SecretAccessKey: "none"}
	if authorized {
		bounded, cancel := context.WithTimeout(ctx, d.Call)
		defer cancel()
		var err error
		if credentials, err = cfg.Credentials.Retrieve(bounded); err != nil {
			return []Finding{fault(AreaAWS, "There are no AWS credentials any more.", "Run it again.")}
		}
	}
	inspector, err := d.inspector(credentials)
	if err != nil {
		return []Finding{fault(AreaBucket, "storage.prefix cannot be used: "+err.Error()+".", "See `tokenhandler check`.")}
	}
	var checks []check
	for _, origin := range d.origins() {
		for _, method := range storage.BrowserMethods() {
			checks = append(checks, check{AreaBucket, func(ctx context.Context) []Finding { return d.cors(ctx, inspector, origin, method) }})
		}
	}
	if authorized {
		checks = append(checks, d.settings(inspector)...)
	}
	checks = append(checks, check{AreaBucket, func(ctx context.Context) []Finding { return d.folder(ctx, cfg, inspector, authorized) }})
	found := runAll(ctx, checks)
	if !authorized {
		return append(found, warning(AreaBucket, "The bucket's settings cannot be read: there are no AWS credentials here.", "Run doctor with "+d.whose()+"."))
	}
	return found
}

// whose says with which credentials the bucket's settings can be read.
func (d *doctor) whose() string {
	if d.Service.Storage.NeedsIDToken() {
		return "an operator's credentials; the service needs none"
	}
	return "the credentials of the service"
}

// inspector asks S3 with these credentials.
func (d *doctor) inspector(credentials aws.Credentials) (*storage.Inspector, error) {
	settings := app.StorageConfig(d.Service.Storage)
	settings.Now = d.Now
	return storage.NewInspector(settings, credentials, trialUser)
}

// settings reads the settings of the bucket that should be there.
func (d *doctor) settings(inspector *storage.Inspector) []check {
	return []check{
		{AreaBucket, func(ctx context.Context) []Finding {
			return d.setting(ctx, inspector.IsPrivate, "public access block", "s3:GetBucketPublicAccessBlock", "Apply config/deploy/s3/public-access-block.json.")
		}},
		{AreaBucket, func(ctx context.Context) []Finding {
			return d.setting(ctx, inspector.AbortsUploads, "lifecycle rule for unfinished uploads", "s3:GetLifecycleConfiguration", "Apply config/deploy/s3/lifecycle.json, with the prefix of storage.prefix.")
		}},
	}
}

// origins are the origins whose pages send presigned requests.
func (d *doctor) origins() []string {
	own := web.Origin(d.Service.PublicURL)
	return append([]string{own}, slices.DeleteFunc(slices.Clone(d.Service.AllowedOrigins), func(o string) bool { return o == own })...)
}

func (d *doctor) cors(ctx context.Context, inspector *storage.Inspector, origin, method string) []Finding {
	ctx, cancel := context.WithTimeout(ctx, d.Call)
	defer cancel()
	allowed, err := inspector.Preflight(ctx, d.web, origin, method)
	switch {
	case err != nil:
		what, cure := explainCause(provider.CauseOf(err))
		return []Finding{fault(AreaBucket, "S3 is not reached: "+what+" ("+string(provider.CauseOf(err))+").", cure)}
	case !allowed:
		return []Finding{fault(AreaBucket, "The bucket's CORS rules do not allow "+method+" from "+origin+".", "Apply config/deploy/s3/cors.json with this origin.")}
	}
	return []Finding{good(AreaBucket, "The bucket's CORS rules allow %s from %s.", method, origin)}
}

// setting reads a setting of the bucket that should be there.
func (d *doctor) setting(ctx context.Context, read func(context.Context) (bool, error), name, permission, cure string) []Finding {
	ctx, cancel := context.WithTimeout(ctx, d.Call)
	defer cancel()
	there, err := read(ctx)
	switch {
	case err == nil && there:
		return []Finding{good(AreaBucket, "The bucket has a %s.", name)}
	case err == nil, errors.Is(err, storage.ErrNotConfigured):
		return []Finding{warning(AreaBucket, "The bucket has no complete "+name+".", cure)}
	case errors.Is(err, storage.ErrNoBucket), errors.Is(err, storage.ErrOtherRegion):
		return d.noBucket(err)
	case errors.Is(err, storage.ErrDenied):
		return []Finding{warning(AreaBucket, "The bucket's "+name+" cannot be read: the permission "+permission+" is missing.", "Run doctor with credentials that have it.")}
	case errors.Is(err, storage.ErrUnsupported):
		return []Finding{warning(AreaBucket, "The bucket's "+name+" cannot be read: this server has none.", "Nothing, unless the server has another way to set it.")}
	}
	return []Finding{warning(AreaBucket, "The bucket's "+name+" cannot be read: "+describeAWS(err)+".", "Run it again.")}
}

// noBucket is the finding for a bucket that is not where the configuration says.
func (d *doctor) noBucket(err error) []Finding {
	if errors.Is(err, storage.ErrOtherRegion) {
		return []Finding{fault(AreaBucket, "The bucket is in another region than "+d.Service.Storage.Region+".", "Correct storage.region.")}
	}
	return []Finding{fault(AreaBucket, "There is no bucket "+d.Service.Storage.Bucket+".", "Correct storage.bucket, or create it.")}
}
