package doctor

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/oauthproxy/storage/usercredentials"
	"cognito-token-handler/tokenhandler/provider"
)

// folder does in the folder of trialUser what the service does in a user's: it lists, and
// with Config.Write it stores and deletes. It uses the kind of credentials with which the
// service would: own asks with those of the service itself, which may reach no folder.
func (d *doctor) folder(ctx context.Context, cfg aws.Config, own *storage.Inspector, authorized bool) []Finding {
	switch {
	case d.Service.Storage.NeedsIDToken() && d.Write:
		return []Finding{warning(AreaBucket, "No object was stored: with storage.credentials: "+d.Service.Storage.Credentials+" only the ID token of a user gets the credentials for it.", "Log in and upload a file.")}
	case d.Service.Storage.NeedsIDToken(), !authorized:
		return nil
	case d.Service.Storage.Credentials != usercredentials.KindSessionPolicy:
		return d.useFolder(ctx, own, "the role of the service")
	}
	credentials, err := d.trialCredentials(ctx, cfg)
	if err != nil {
		return []Finding{warning(AreaBucket, "The users' folders cannot be tried: storage.role_arn cannot be assumed with a policy for one folder ("+describeAWS(err)+").", "Compare the trust of the role and the policy of the service with config/deploy/s3, and run doctor with the credentials of the service.")}
	}
	inspector, err := d.inspector(credentials)
	if err != nil {
		return []Finding{fault(AreaBucket, "storage.prefix cannot be used: "+err.Error()+".", "See `tokenhandler check`.")}
	}
	return d.useFolder(ctx, inspector, "storage.role_arn")
}

// trialCredentials returns what the service would get for trialUser: the credentials of
// storage.role_arn, restricted to that folder.
func (d *doctor) trialCredentials(ctx context.Context, cfg aws.Config) (aws.Credentials, error) {
	ctx, cancel := context.WithTimeout(ctx, d.Call)
	defer cancel()
	folder, err := app.UserFolder(d.Service.Storage)
	if err != nil {
		return aws.Credentials{}, err
	}
	issued, err := usercredentials.SessionPolicy(sts.NewFromConfig(cfg), d.Service.Storage.RoleARN, folder)(ctx, usercredentials.Holder{Subject: trialUser})
	return issued.Credentials, err
}

// useFolder lists the folder, and tries an upload if it may. role is whose rights decide.
func (d *doctor) useFolder(ctx context.Context, inspector *storage.Inspector, role string) []Finding {
	checks := []check{{AreaBucket, func(ctx context.Context) []Finding { return d.list(ctx, inspector, role) }}}
	if d.Write {
		checks = append(checks, check{AreaBucket, func(ctx context.Context) []Finding { return d.try(ctx, inspector, role) }})
	}
	return runAll(ctx, checks)
}

func (d *doctor) list(ctx context.Context, inspector *storage.Inspector, role string) []Finding {
	ctx, cancel := context.WithTimeout(ctx, d.Call)
	defer cancel()
	switch err := inspector.List(ctx); {
	case err == nil:
		return []Finding{good(AreaBucket, "The bucket is there, and a user's folder in it can be listed.")}
	case errors.Is(err, storage.ErrNoBucket), errors.Is(err, storage.ErrOtherRegion):
		return d.noBucket(err)
	case errors.Is(err, storage.ErrDenied):
		return []Finding{warning(AreaBucket, "A user's folder cannot be listed: the permission s3:ListBucket is missing.", "Give "+role+" the permission s3:ListBucket: without it lists fail, and missing objects are 502.")}
	default:
		return []Finding{fault(AreaBucket, "The bucket is not reached: "+describeAWS(err)+".", "Check storage.endpoint, and the network to it.")}
	}
}

// try puts an object and deletes it.
func (d *doctor) try(ctx context.Context, inspector *storage.Inspector, role string) []Finding {
	ctx, cancel := context.WithTimeout(ctx, d.Call)
	defer cancel()
	key, put, remove := inspector.Try(ctx, d.web)
	cure := "Compare the policy of " + role + " with config/deploy/s3/folders-policy.json; encryption with KMS needs rights on the key, too."
	switch {
	case errors.Is(put, storage.ErrDenied):
		return []Finding{fault(AreaBucket, "S3 refuses to store "+key+".", cure)}
	case put != nil && remove != nil:
		return []Finding{fault(AreaBucket, "Nobody knows whether "+key+" was stored ("+string(provider.CauseOf(put))+"), and it could not be deleted: "+describeAWS(remove)+".", "Look for it and delete it by hand. "+cure)}
	case put != nil:
		return []Finding{fault(AreaBucket, key+" could not be stored ("+string(provider.CauseOf(put))+"); nothing of it is left.", cure)}
	case remove != nil:
		return []Finding{fault(AreaBucket, key+" was stored and could not be deleted: "+describeAWS(remove)+".", "Delete it by hand. "+cure)}
	}
	return []Finding{good(AreaBucket, "An object was stored by a presigned PUT, and deleted.")}
}
