package config

import "time"

// Limits that more than one place speaks of.
const (
	maxLifetime  = 3650 * 24 * time.Hour
	maxGrace     = 5 * time.Minute
	maxExpires   = 7 * 24 * time.Hour // S3-02: S3 refuses more, the SDK does not
	maxUpload    = 5 << 30            // S3-20
	maxBodyLimit = 1 << 40
	maxReplay    = 16 << 20
)

// options is the table of all keys, bound to one Config.
func options(c *Config, readFile func(string) ([]byte, error)) []option {
	table := serverOptions(c)
	table = append(table, providerOptions(&c.Provider, readFile)...)
	table = append(table, authOptions(&c.Auth, readFile)...)
	table = append(table, sessionOptions(&c.Session, readFile)...)
	table = append(table, option{
		key: "revocation.on_outage", def: "allow", value: one(&c.Revocation.OnOutage, "word", oneOf("allow", "deny")),
		doc:     "While `session.store` is out: `allow` goes on with the revocations that are known here; `deny` answers 503 to every session, since one may have been revoked elsewhere.",
		refused: "`deny` without `session.store`",
	}, option{
		key: "api.routes", value: routes(&c.API.Routes),
		doc:     "What is forwarded where; each item has the keys of the next table. The longest path wins.",
		refused: "two routes with one path; paths at or under `auth.path` or `storage.path`; `/` beside `spa.dir`",
	})
	table = append(table, storageOptions(&c.Storage)...)
	return append(table, operationOptions(c, readFile)...)
}

func serverOptions(c *Config) []option {
	return []option{
		{
			key: "public_url", value: one(&c.PublicURL, "origin", parseOrigin),
			doc:     "Where browsers find the app and us: scheme, host and port. Required.",
			refused: "a path, query or user; plain http, except on localhost or with `cookies.insecure_plain_http`",
		},
		{
			key: "listen", def: "127.0.0.1:8080", value: one(&c.Listen, "host:port", parseListen),
			doc: "The public listener. `:8080` is every interface.", refused: "anything but host:port",
		},
		{
			key: "h2c", def: "false", value: one(&c.H2C, "true or false", parseBool),
			doc: "HTTP/2 without TLS on the public listener (RFC 9113 §3.3), for a load balancer that speaks it to us. With TLS, HTTP/2 needs no setting.", refused: "`true` beside `tls.cert_file`",
		},
		{
			key: "tls.cert_file", value: one(&c.TLS.CertFile, "file", parsePath),
			doc: "PEM certificate chain of the public listener, read again when it changes. Without it, plain http: put a TLS proxy in front.", refused: "one without the other",
		},
		{
			key: "tls.key_file", value: one(&c.TLS.KeyFile, "file", parsePath),
			doc: "PEM key of that certificate.", refused: "one without the other",
		},
		{
			key: "allowed_origins", value: many(&c.AllowedOrigins, "list of origins", parseAnyOrigin),
			doc:     "Further origins of the same site that may call us with credentials.",
			refused: "`*`; anything beyond scheme, host and port; plain http as for `public_url`",
		},
		{
			key: "trusted_proxies", value: many(&c.TrustedProxies, "list of addresses or networks", parseProxy),
			doc:     "The proxies in front of us, whose `X-Forwarded-For` counts.",
			refused: "`0.0.0.0/0` and `::/0`: anybody could forge an address",
		},
		{
			key: "cookies.insecure_plain_http", def: "false", value: one(&c.Cookies.InsecurePlainHTTP, "true or false", parseBool),
			doc:     "Drops `Secure` and the `__Host-Http-` prefix, so that cookies work over plain http. For a test machine only; localhost does not need it.",
			refused: "`true` unless `public_url` is `http://`",
		},
	}
}

func authOptions(a *Auth, readFile func(string) ([]byte, error)) []option {
	var secretPath string
	verifySecret := single(&a.VerifySecret, "secret", headerSecretRule("a header"))
	return []option{
		{
			key: "auth.path", def: "/auth", value: one(&a.Path, "path", parsePrefix),
			doc: "Where login, callback, session and logout are. The callback URL to register is `public_url` + this + `/callback`.", refused: "`/`; a slash at the end; a path that overlaps `storage.path`",
		},
		{
			key: "auth.error_path", value: one(&a.ErrorPath, "path", parseOptionalAppPath),
			doc: "The app's page for failed logins; it gets `?error=` and `request_id=`. None: a plain page of ours.", refused: "a URL with a host; a path under `auth.path`, which could loop",
		},
		{
			key: "auth.after_logout", def: "/", value: one(&a.AfterLogout, "path", parseAppPath),
			doc: "Where the provider sends the browser after logout. `public_url` + this is the sign-out URL to register.", refused: "a URL with a host",
		},
		{
			key: "auth.allow_cross_site_login", def: "false", value: one(&a.AllowCrossSiteLogin, "true or false", parseBool),
			doc: "Lets a link on another site start a login at once (ASVS V7.6.2). Needed for logins started by an identity provider's portal.",
		},
		{
			key: "auth.verify_secret", value: verifySecret,
			doc: "What a gateway sends as `X-Auth-Request-Secret` to `/auth/verify`, which answers with the user's access token and is off (404) without this secret. Whoever knows it and a user's cookie has the token: keep it between the two.", refused: "fewer than 16 characters",
		},
		{
			key: "auth.verify_secret_file", fileFor: "auth.verify_secret", value: secretFile(&secretPath, verifySecret, headerSecretRule("a header"), readFile),
			doc: "A file with the secret on one line.", refused: "both this and `auth.verify_secret`",
		},
	}
}

func operationOptions(c *Config, readFile func(string) ([]byte, error)) []option {
	var tokenFile string
	token := single(&c.Admin.Token, "secret", headerSecretRule("a bearer token"))
	return []option{
		{
			key: "spa.dir", value: one(&c.SPA.Dir, "directory", parsePath),
			doc: "The built app to serve: `index.html` for unknown paths outside our prefixes, with security headers; of `app.js.br` and `app.js.gz` beside `app.js` the best that a browser takes. None: something else serves it.",
		},
		{
			key: "spa.content_security_policy", value: one(&c.SPA.ContentSecurityPolicy, "header value", parseText),
			doc: "Replaces the built-in strict policy.", refused: "without `spa.dir`",
		},
		{
			key: "admin.listen", def: "127.0.0.1:9090", value: one(&c.Admin.Listen, "host:port", parseListen),
			doc: "`/metrics`, `/healthz`, `/readyz` and `/admin/*`. Never to be reached from outside.", refused: "the address of `listen`",
		},
		{
			key: "admin.token", value: token,
			doc: "Bearer token of `/admin/*`, which is off without one.", refused: "fewer than 16 characters",
		},
		{
			key: "admin.token_file", fileFor: "admin.token", value: secretFile(&tokenFile, token, headerSecretRule("a bearer token"), readFile),
			doc: "A file with the token on one line.", refused: "both this and `admin.token`",
		},
		{
			key: "log.level", def: "info", value: one(&c.Log.Level, "word", oneOf("debug", "info", "warn", "error")),
			doc: "The least level that is logged: `debug`, `info`, `warn` or `error`.",
		},
		{
			key: "log.format", def: "json", value: one(&c.Log.Format, "word", oneOf("text", "json")),
			doc: "`json` for machines, `text` for people.",
		},
	}
}
