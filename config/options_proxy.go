package config

import (
	"time"

	"cognito-token-handler/oauthproxy/storage"
)

const upstreamMeans = "sends users' tokens to the API over plain http"

// routeOptions returns the table of the keys of one route. Reading an option stores
// its value in r.
func routeOptions(r *Route) []option {
	return []option{
		{
			key: "path", value: one(&r.Path, "path", parseRoutePath),
			doc: "Requests whose path starts with this prefix take this route. Required.", refused: "a path without a slash at both ends; dot segments; encoded characters",
		},
		{
			key: "upstream", value: one(&r.Upstream, "URL", parseUpstream),
			doc: "Where requests are forwarded to: `https://`, `http://`, `h2c://` (HTTP/2 without TLS), or `unix:///run/api.sock`. A path in this URL is put before the request's path; a socket's path is not. Required.", refused: "a user, a query or a fragment; plain http or h2c to another machine (OWASP ASVS 5.0, V12.2.1)",
		},
		{
			key: "upstream_host", value: one(&r.UpstreamHost, "host", parseHost),
			doc: "The `Host` header for an API behind a `unix://` socket. Default: `localhost`.", refused: "with another kind of upstream, whose own host is sent",
		},
		{
			key: "upstream_ca_file", value: one(&r.UpstreamCAFile, "file", parsePath),
			doc: "The PEM certificates of the authorities that may have issued the certificate of an `https://` upstream. They replace the system's. The file is read again when it changes; requests then use new connections.", refused: "with another kind of upstream; a file without a certificate",
		},
		{
			key: "insecure_http_upstream", def: "false", value: one(&r.InsecureHTTPUpstream, "true or false", parseBool),
			doc: "Allows an `http://` or `h2c://` upstream on another machine. Tokens then cross the network in the clear, unless the network itself encrypts.", refused: "`true` with an upstream that does not need it",
			means: upstreamMeans,
		},
		{
			key: "strip_prefix", def: "false", value: one(&r.StripPrefix, "true or false", parseBool),
			doc: "Removes `path`, except its last slash, before the request is forwarded, and sends it in `X-Forwarded-Prefix`.",
		},
		{
			key: "methods", value: many(&r.Methods, "list of methods", parseMethod),
			doc: "The allowed methods; others get 405. Default: all except CONNECT, TRACE and TRACK.", refused: "CONNECT, TRACE, TRACK, lower case",
		},
		{
			key: "token", def: "access", value: one(&r.Token, "word", oneOf("access", "id", "none")),
			doc: "The token that the upstream gets as `Authorization: Bearer`: `access`, `id` or `none`.",
		},
		{
			key: "scopes", value: many(&r.Scopes, "list of scopes", parseScope),
			doc: "The scopes that the access token must have in its `scope` claim, all of them; otherwise the answer is 403 `insufficient_scope`. List them in `provider.scopes` too, so that logins ask for them.", refused: "an empty list; together with `anonymous: true`",
		},
		{
			key: "groups", value: many(&r.Groups, "list of groups", parseWord),
			doc: "The user must be in at least one of these groups; otherwise the answer is 403 `insufficient_scope`. The groups are in the access token's claim `cognito:groups`, or `groups` with `provider.kind: oidc`.", refused: "an empty list; together with `anonymous: true`",
		},
		{
			key: "anonymous", def: "false", value: one(&r.Anonymous, "true or false", parseBool),
			doc: "Forwards requests without a session too. They carry no token.",
		},
		{
			key: "timeout", def: "60s", value: one(&r.Timeout, "duration", parseDuration(time.Millisecond, 24*time.Hour)),
			doc: "How long the upstream may take until it starts to answer; then the client gets 504.", refused: "0; more than 24h",
		},
		{
			key: "max_body", def: "10MiB", value: one(&r.MaxBody, "size", parseSize(0, maxBodyLimit)),
			doc: "The largest request body; a larger one gets 413. 0: no body at all.", refused: "more than 1024GiB",
		},
		{
			key: "replay_body", def: "64KiB", value: one(&r.ReplayBody, "size", parseSize(0, maxReplay)),
			doc: "When the upstream answers 401, the service refreshes the token and sends the request once more. The body of a PUT or DELETE is kept for that, and for a kept connection that the upstream closes just then, if it is at most this large. 0: requests with a body are not sent again.", refused: "more than 16MiB",
		},
		{
			key: "probe_interval", def: "0s", value: one(&r.ProbeInterval, "duration", parseDuration(0, maxLifetime)),
			doc: "Like `session.probe_interval`, for this route. The shorter of the two applies.",
		},
		{
			key: "websocket", def: "false", value: one(&r.WebSocket, "true or false", parseBool),
			doc: "Allows WebSockets, over HTTP/1.1; no other protocol upgrade is possible. The handshake must have an `Origin` header with the origin of `public_url` or one of `allowed_origins`. The service closes a WebSocket with code 4401 when its session is logged out, is revoked or reaches its absolute lifetime. Messages do not count as activity for `session.idle_timeout`, and an idle session does not close its WebSockets.",
		},
	}
}

func storageOptions(s *Storage) []option {
	return []option{
		{
			key: "storage.bucket", value: one(&s.Bucket, "name", parseBucket),
			doc: "The S3 bucket with the users' folders. Without it the storage endpoints are off.", refused: "a name that S3 does not allow",
		},
		{
			key: "storage.region", value: one(&s.Region, "name", parseRegion),
			doc: "The region of the bucket. Required, unless `storage.endpoint` is set; the default is `us-east-1` then. A region that this version does not know is a warning, because AWS opens new ones.",
		},
		{
			key: "storage.endpoint", value: one(&s.Endpoint, "origin", parseSecureOrigin),
			doc: "The origin of another S3-compatible service. Browsers must reach it under this name, because the name is signed.", refused: "plain http, except for localhost; a path",
		},
		{
			key: "storage.path_style", def: "false", value: one(&s.PathStyle, "true or false", parseBool),
			doc: "Puts the bucket into the path of the URL instead of the host name. Most services other than AWS need it.",
		},
		{
			key: "storage.path", def: "/storage", value: one(&s.Path, "path", parsePrefix),
			doc: "The prefix of the storage endpoints.", refused: "`/`; a slash at the end; a path that overlaps `auth.path`",
		},
		{
			key: "storage.prefix", def: "users/{sub}/", value: one(&s.Prefix, "key prefix", parseFolder),
			doc: "The prefix of a user's keys in the bucket. `{sub}` is replaced by the user's `sub`.", refused: "a prefix without exactly one `{sub}`, as a whole segment; a slash at the start; no slash at the end",
		},
		{
			key: "storage.max_size", def: "100MiB", value: one(&s.MaxSize, "size", parseSize(1, storage.MaxObjectSize)),
			doc: "The largest upload. The size of each upload is part of the signature, so S3 enforces it. An upload over 5GiB must be made in parts.", refused: "0; more than 50000GiB, the limit of S3",
		},
		{
			key: "storage.content_types", value: many(&s.ContentTypes, "list of content types", parseContentType),
			doc: "The content types that may be uploaded, such as `image/png`, or `image/*` for all images. Default: all.", refused: "parameters; other wildcards, such as `*/*`",
		},
		{
			key: "storage.expires", def: "5m", value: one(&s.Expires, "duration", parseDuration(time.Second, storage.MaxExpires)),
			doc: "How long a presigned URL is valid.", refused: "less than 1s; more than 168h, the limit of S3",
		},
		{
			key: "storage.quota.bytes", value: one(&s.Quota.Bytes, "size", parseSize(1, maxQuota)),
			doc: "How much a user's folder may hold. Uploads and copies beyond it get 403 `quota_exceeded`. The folder is counted by listing it; the count is kept for up to 5 minutes, and what was signed since counts until it must have arrived, which is later than its URL expires. So the limit is approximate. With `session.store`, replicas share what they have signed; else each knows only its own. Default: none.", refused: "0",
		},
		{
			key: "storage.quota.objects", value: one(&s.Quota.Objects, "number", parseObjects),
			doc: "How many objects a user's folder may hold. As `storage.quota.bytes`. Default: none.", refused: "0",
		},
		{
			key: "storage.sse", value: one(&s.SSE, "word", oneOf("AES256", "aws:kms", "aws:kms:dsse")),
			doc: "The encryption at rest that uploads and copies ask for: `AES256` (SSE-S3), `aws:kms` or `aws:kms:dsse`. It is signed, so S3 refuses an upload without it. Default: that of the bucket.",
		},
		{
			key: "storage.kms_key_id", value: one(&s.KMSKeyID, "key id or ARN", parseText),
			doc: "The KMS key for `storage.sse: aws:kms` or `aws:kms:dsse`. Browsers see its name, because they must send it. Default: the account's key for S3.", refused: "without one of these values of `storage.sse`",
		},
		{
			key: "storage.expected_bucket_owner", value: one(&s.ExpectedBucketOwner, "account id", parseAccount),
			doc: "The AWS account that must own the bucket. S3 refuses every request otherwise, so that nothing is stored in somebody else's bucket after the bucket was deleted and its name taken. Default: any.", refused: "other than 12 digits",
		},
		{
			key: "storage.credentials", def: credentialsService, value: one(&s.Credentials, "word", oneOf(credentialsService, credentialsSessionPolicy, credentialsWebIdentity, credentialsIdentityPool)),
			doc: "Which AWS credentials sign. `service`: those of this service, which reach the folders of all users. The others reach one user's folder only, so that S3 itself keeps users apart: `session_policy` assumes `storage.role_arn` with a policy for the user's folder; `web_identity` does so with the user's ID token, and needs no credentials of the service; `identity_pool` exchanges the ID token at a Cognito identity pool. See [deploy/s3](deploy/s3/README.md).",
		},
		{
			key: "storage.role_arn", value: one(&s.RoleARN, "ARN", parseRoleARN),
			doc: "The role to assume with `storage.credentials: session_policy` or `web_identity`. It must allow all folders; a policy of each user's session restricts it to one.", refused: "with another value of `storage.credentials`; what is not the ARN of a role",
		},
		{
			key: "storage.identity_pool_id", value: one(&s.IdentityPoolID, "id", parseIdentityPool),
			doc: "The Cognito identity pool of `storage.credentials: identity_pool`. Its role must restrict the user to the own folder.", refused: "with another value of `storage.credentials`; what is not the id of an identity pool",
		},
	}
}

// maxQuota is far above what anybody stores.
const maxQuota = 1 << 60

// parseObjects accepts a number of objects.
func parseObjects(s string) (int64, *invalid) {
	n, bad := parseCount(1_000_000_000)(s)
	return int64(n), bad
}
