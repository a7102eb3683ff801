package app

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/cognitoidentity"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/middleware"

	"cognito-token-handler/config"
	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/oauthproxy/storage/usercredentials"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/web"
)

// maxSealed bounds the cursors of lists and the ids of uploads in parts, in characters.
// The longest key makes less than half of it.
const maxSealed = 8192

// maxClaims bounds what is remembered of signed requests in memory, for all users. An
// entry takes about 200 bytes.
const maxClaims = 500_000

func (a *App) newStorage(ctx context.Context, site *web.Site, auth *tokenhandler.Handler) (http.Handler, error) {
	credentials, err := a.newStorageCredentials(ctx)
	if err != nil {
		return nil, fmt.Errorf("storage.credentials: %w", err)
	}
	cfg := StorageConfig(a.cfg.Storage)
	cfg.Claims, cfg.SharedClaims = memory.NewMaps(a.now, maxClaims), a.denied.sharedMaps()
	cfg.Credentials = credentials
	cfg.Sealer = seal.Codec{Keys: a.keys, MaxLength: maxSealed}
	cfg.APIOptions = []func(*middleware.Stack) error{traceAWS(a.tracer)}
	cfg.Limit = a.newLimit(web.LimitPresigns, a.cfg.Limits.Presigns, nil).Take
	cfg.Now, cfg.Log, cfg.Site, cfg.Metrics, cfg.Audit = a.now, a.log, site, storage.NewMetrics(a.registry), a.trail
	handler, err := storage.New(cfg, folders{auth})
	if err != nil {
		return nil, err
	}
	return handler, nil
}

// StorageConfig returns what the configuration says about the bucket.
func StorageConfig(s config.Storage) storage.Config {
	return storage.Config{
		Path: s.Path, Bucket: s.Bucket, Region: s.Region, Endpoint: s.Endpoint, PathStyle: s.PathStyle,
		Prefix: s.Prefix, MaxSize: s.MaxSize, ContentTypes: s.ContentTypes, Expires: s.Expires,
		Quota: storage.Quota{Bytes: s.Quota.Bytes, Objects: s.Quota.Objects},
		SSE:   s.SSE, KMSKeyID: s.KMSKeyID, ExpectedBucketOwner: s.ExpectedBucketOwner,
	}
}

// userCallAttempts is how often a call for a user's credentials is made. The user waits
// for it.
const userCallAttempts = 2

// newStorageCredentials returns the credentials of the configured kind, and sets
// a.credentials, which watches whether there are any.
func (a *App) newStorageCredentials(ctx context.Context) (storage.Credentials, error) {
	s, metrics := a.cfg.Storage, usercredentials.NewMetrics(a.registry)
	if s.Credentials == "service" {
		credentials, err := awsCredentials(ctx, s.Region, awsCallTimeout, a.tracer)
		if err != nil {
			return nil, err
		}
		a.credentials = newCredentialsWatch(credentials, a.log, a.registry)
		return storage.ServiceCredentials{Provider: credentials}, nil
	}
	cfg, err := awsConfig(ctx, s.Region, awsCallTimeout, a.tracer)
	if err != nil {
		return nil, err
	}
	cfg.Retryer = func() aws.Retryer {
		return retry.NewStandard(func(o *retry.StandardOptions) { o.MaxAttempts = userCallAttempts })
	}
	source, probe, err := a.newSource(cfg)
	if err != nil {
		return nil, err
	}
	a.credentials = newCredentialsWatch(probe, a.log, a.registry)
	settings := usercredentials.Config{
		Kind: s.Credentials, Source: source, Ahead: s.Expires + time.Minute,
		Now: a.now, Log: a.log, Metrics: metrics,
	}
	if probe == nil {
		settings.Observe = a.credentials.note
	}
	return usercredentials.New(ctx, settings), nil
}

// newSource returns what issues the credentials of one user, and what shows before the
// first user whether it can; nil if nothing does.
func (a *App) newSource(cfg aws.Config) (usercredentials.Source, aws.CredentialsProvider, error) {
	s := a.cfg.Storage
	if s.Credentials == usercredentials.KindIdentityPool {
		cfg.Region, _, _ = strings.Cut(s.IdentityPoolID, ":")
		cfg.Credentials = aws.AnonymousCredentials{}
		return usercredentials.IdentityPool(cognitoidentity.NewFromConfig(cfg), s.IdentityPoolID, a.cfg.Provider.Issuer), nil, nil
	}
	folder, err := UserFolder(s)
	if err != nil {
		return nil, nil, err
	}
	if s.Credentials == usercredentials.KindWebIdentity {
		cfg.Credentials = aws.AnonymousCredentials{}
		return usercredentials.WebIdentity(sts.NewFromConfig(cfg), s.RoleARN, folder), nil, nil
	}
	if cfg.Credentials == nil {
		return nil, nil, errNoCredentials
	}
	api := sts.NewFromConfig(cfg)
	return usercredentials.SessionPolicy(api, s.RoleARN, folder), aws.NewCredentialsCache(usercredentials.Probe(api, s.RoleARN)), nil
}

// UserFolder says which part of the bucket a user's credentials reach.
func UserFolder(s config.Storage) (usercredentials.Folder, error) {
	of, err := storage.FolderOf(s.Prefix)
	return usercredentials.Folder{Bucket: s.Bucket, Of: of, KMS: s.Endpoint == ""}, err
}
