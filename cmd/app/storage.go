package app

import (
	"context"
	"fmt"
	"net/http"

	"github.com/aws/smithy-go/middleware"

	"cognito-token-handler/oauthproxy/storage"
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
	s := a.cfg.Storage
	credentials, err := awsCredentials(ctx, s.Region, awsCallTimeout, a.tracer)
	if err != nil {
		return nil, fmt.Errorf("storage.credentials: %w", err)
	}
	a.credentials = newCredentialsWatch(credentials, a.log, a.registry)
	handler, err := storage.New(storage.Config{
		Path: s.Path, Bucket: s.Bucket, Region: s.Region, Endpoint: s.Endpoint, PathStyle: s.PathStyle,
		Prefix: s.Prefix, MaxSize: s.MaxSize, ContentTypes: s.ContentTypes, Expires: s.Expires,
		Quota:  storage.Quota{Bytes: s.Quota.Bytes, Objects: s.Quota.Objects},
		Claims: memory.NewMaps(a.now, maxClaims), SharedClaims: a.denied.sharedMaps(),
		SSE: s.SSE, KMSKeyID: s.KMSKeyID, ExpectedBucketOwner: s.ExpectedBucketOwner,
		Credentials: storage.ServiceCredentials{Provider: credentials},
		Sealer:      seal.Codec{Keys: a.keys, MaxLength: maxSealed}, APIOptions: []func(*middleware.Stack) error{traceAWS(a.tracer)},
		Now: a.now, Log: a.log, Site: site, Metrics: storage.NewMetrics(a.registry),
	}, folders{auth})
	if err != nil {
		return nil, err
	}
	return handler, nil
}
