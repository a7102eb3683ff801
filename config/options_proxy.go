package config

import "time"

// routeOptions is the table of the keys of one route.
func routeOptions(r *Route) []option {
	return []option{
		{
			key: "path", value: one(&r.Path, "path", parseRoutePath),
			doc: "Which requests: those whose path begins so. Required.", refused: "without a slash at both ends; dot segments, encoded characters",
		},
		{
			key: "upstream", value: one(&r.Upstream, "URL", parseUpstream),
			doc: "Where they go: `https://`, `http://`, `h2c://` (HTTP/2 without TLS), or `unix:///run/api.sock`. A path here (but a socket's) is put before the request's. Required.", refused: "a user, query or fragment; plain http or h2c to another machine (V12.2.1)",
		},
		{
			key: "upstream_host", value: one(&r.UpstreamHost, "host", parseHost),
			doc: "The `Host` that an API behind a `unix://` socket gets. Default: `localhost`.", refused: "beside another upstream, which gets its own",
		},
		{
			key: "upstream_ca_file", value: one(&r.UpstreamCAFile, "file", parsePath),
			doc: "PEM certificates of the authorities that the `https://` upstream's certificate must come from, instead of the system's. Read at start.", refused: "beside another upstream",
		},
		{
			key: "insecure_http_upstream", def: "false", value: one(&r.InsecureHTTPUpstream, "true or false", parseBool),
			doc: "Permits an `http://` or `h2c://` upstream on another machine: tokens cross the network in the clear, unless the network itself encrypts.", refused: "`true` beside an upstream that does not need it",
		},
		{
			key: "strip_prefix", def: "false", value: one(&r.StripPrefix, "true or false", parseBool),
			doc: "Takes `path` off (but its last slash) before forwarding, and names it in `X-Forwarded-Prefix`.",
		},
		{
			key: "methods", value: many(&r.Methods, "list of methods", parseMethod),
			doc: "The methods that pass; others get 405. Default: all but CONNECT and TRACE.", refused: "CONNECT, TRACE, lower case",
		},
		{
			key: "token", def: "access", value: one(&r.Token, "word", oneOf("access", "id", "none")),
			doc: "What the upstream gets as `Authorization: Bearer`: `access`, `id` or `none`.",
		},
		{
			key: "scopes", value: many(&r.Scopes, "list of scopes", parseScope),
			doc: "Scopes that the access token must have, all of them (its `scope` claim); else 403 `insufficient_scope`. Ask for them in `provider.scopes`.", refused: "an empty list; beside `anonymous: true`",
		},
		{
			key: "groups", value: many(&r.Groups, "list of groups", parseWord),
			doc: "Groups of which the user must be in one (the access token's claim `cognito:groups`, or `groups` with `provider.kind: oidc`); else 403 `insufficient_scope`.", refused: "an empty list; beside `anonymous: true`",
		},
		{
			key: "anonymous", def: "false", value: one(&r.Anonymous, "true or false", parseBool),
			doc: "Forwards requests without a session too, then without a token.",
		},
		{
			key: "timeout", def: "60s", value: one(&r.Timeout, "duration", parseDuration(time.Millisecond, 24*time.Hour)),
			doc: "How long the upstream may take to begin its answer; then 504.", refused: "0; more than 24h",
		},
		{
			key: "max_body", def: "10MiB", value: one(&r.MaxBody, "size", parseSize(0, maxBodyLimit)),
			doc: "The largest request body; over it 413. 0: no body at all.", refused: "more than 1024GiB",
		},
		{
			key: "replay_body", def: "64KiB", value: one(&r.ReplayBody, "size", parseSize(0, maxReplay)),
			doc: "The largest body of a PUT or DELETE that is kept to send the request again, once, with a new token after an upstream's 401. 0: none.", refused: "more than 16MiB",
		},
		{
			key: "probe_interval", def: "0s", value: one(&r.ProbeInterval, "duration", parseDuration(0, maxLifetime)),
			doc: "As `session.probe_interval`, for this route; the shorter of the two counts.",
		},
		{
			key: "websocket", def: "false", value: one(&r.WebSocket, "true or false", parseBool),
			doc: "Lets WebSockets pass (over HTTP/1.1, `Origin` required: the public one or of `allowed_origins`); no other upgrade ever does. A socket is closed with 4401 when its session is logged out, revoked or at its absolute end, not when it is idle; its messages are no activity: `session.idle_timeout` counts requests.",
		},
	}
}

func storageOptions(s *Storage) []option {
	return []option{
		{
			key: "storage.bucket", value: one(&s.Bucket, "name", parseBucket),
			doc: "The S3 bucket of the users' folders. Storage is off without one.", refused: "what S3 does not take as a bucket's name",
		},
		{
			key: "storage.region", value: one(&s.Region, "name", parseRegion),
			doc: "The bucket's region. Required, unless `storage.endpoint` is set; then `us-east-1`.",
		},
		{
			key: "storage.endpoint", value: one(&s.Endpoint, "origin", parseSecureOrigin),
			doc: "Another S3-compatible service. Browsers must reach it by this name: it is part of what is signed.", refused: "plain http, except on localhost; a path",
		},
		{
			key: "storage.path_style", def: "false", value: one(&s.PathStyle, "true or false", parseBool),
			doc: "Puts the bucket into the path and not the host name. Most services other than AWS need it.",
		},
		{
			key: "storage.path", def: "/storage", value: one(&s.Path, "path", parsePrefix),
			doc: "Where the storage endpoints are.", refused: "`/`; a slash at the end; a path that overlaps `auth.path`",
		},
		{
			key: "storage.prefix", def: "users/{sub}/", value: one(&s.Prefix, "key prefix", parseFolder),
			doc: "A user's folder in the bucket.", refused: "without `{sub}` once as a whole segment; a slash at the beginning, none at the end",
		},
		{
			key: "storage.max_size", def: "100MiB", value: one(&s.MaxSize, "size", parseSize(1, maxUpload)),
			doc: "The largest upload; it is signed into the URL (S3-05).", refused: "0; more than 5GiB (S3-20)",
		},
		{
			key: "storage.content_types", value: many(&s.ContentTypes, "list of content types", parseContentType),
			doc: "The types that may be uploaded, such as `image/png`, or `image/*` for all images. Default: all.", refused: "parameters; other wildcards, `*/*` included",
		},
		{
			key: "storage.expires", def: "5m", value: one(&s.Expires, "duration", parseDuration(time.Second, maxExpires)),
			doc: "How long a signed URL may be used.", refused: "less than 1s; more than 168h (S3-02)",
		},
		{
			key: "storage.credentials", def: "service", value: one(&s.Credentials, "word", parseCredentials),
			doc: "`service`: the AWS credentials of this service. Not yet available: `session_policy`, `web_identity`, `identity_pool`.",
		},
		{
			key: "storage.role_arn", later: true, value: one(&s.RoleARN, "ARN", parseText),
			doc: "The role to assume.",
		},
		{
			key: "storage.identity_pool_id", later: true, value: one(&s.IdentityPoolID, "name", parseText),
			doc: "The Cognito identity pool.",
		},
	}
}

// parseCredentials knows the names of what is to come.
func parseCredentials(s string) (string, *wrong) {
	if _, bad := oneOf("session_policy", "web_identity", "identity_pool")(s); bad == nil {
		return "", &wrong{quote(s) + " is not yet available", "write service"}
	}
	return oneOf("service")(s)
}
