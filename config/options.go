package config

import (
	"time"

	"cognito-token-handler/oauthproxy/spa"
)

// Limits that several options share.
const (
	maxLifetime  = 3650 * 24 * time.Hour
	maxGrace     = 5 * time.Minute
	maxBodyLimit = 1 << 40
	maxReplay    = 16 << 20

	maxPerSession = 100_000
)

// MaxShutdownDelay is the largest value of shutdown.delay. It leaves time for the
// requests that come at its end.
const MaxShutdownDelay = 15 * time.Second

// options returns the table of all keys. Reading an option stores its value in c.
func options(c *Config, readFile func(string) ([]byte, error)) []option {
	table := serverOptions(c)
	table = append(table, providerOptions(&c.Provider, readFile)...)
	table = append(table, authOptions(&c.Auth, readFile)...)
	table = append(table, sessionOptions(&c.Session, readFile)...)
	table = append(table, option{
		key: "revocation.on_outage", def: "allow", value: one(&c.Revocation.OnOutage, "word", oneOf("allow", "deny")),
		doc:     "What happens to sessions while `session.store` cannot be reached. `allow`: the replica enforces the revocations that it knows. `deny`: every session gets 503, because it may have been revoked on another replica.",
		refused: "`deny` without `session.store`",
	}, option{
		key: "api.requests_per_session", def: "256", value: one(&c.API.RequestsPerSession, "number", parseCount(maxPerSession)),
		doc: "How many requests of one session may be forwarded at a time. Further ones get 429. A request whose client has gone counts for a second longer, and as long as a connection is being opened for it. Requests without a session are counted by connection.", refused: "less than 1; more than 100000",
	}, option{
		key: "api.streams_per_session", def: "256", value: one(&c.API.StreamsPerSession, "number", parseCount(maxPerSession)),
		doc: "How many event streams and WebSockets of one session may be open at a time. They do not count as requests.", refused: "less than 1; more than 100000",
	}, option{
		key: "api.routes", value: routes(&c.API.Routes),
		doc:     "The API routes; each item has the keys of the next table. A request goes to the route with the longest matching path. If an API could take its path for that of another route (letter case, path parameters, Unicode forms, dots or blanks at the ends of a segment), it gets 404.",
		refused: "two routes with the same path; a path equal to or below `auth.path` or `storage.path`; `/` together with `spa.dir`",
	})
	table = append(table, limitOptions(&c.Limits)...)
	table = append(table, storageOptions(&c.Storage)...)
	return append(table, operationOptions(c, readFile)...)
}

func serverOptions(c *Config) []option {
	return []option{
		{
			key: "public_url", value: one(&c.PublicURL, "origin", parseOrigin),
			doc:     "The origin under which browsers reach the service: scheme, host and port. Required. With `http://localhost`, `http://127.0.0.1` or `http://[::1]` the cookies have neither `Secure` nor the prefix `__Host-Http-`, and the port in their names (`session-8080`), so that every browser keeps them and two apps on one machine do not end each other's sessions.",
			refused: "a path, a query or a user; plain http, except for localhost or with `cookies.insecure_plain_http`",
		},
		{
			key: "listen", def: "127.0.0.1:8080", value: one(&c.Listen, "host:port", parseListen),
			doc: "The address of the public listener. `:8080` listens on every interface. In a container the default can only be reached from the same container or pod.", refused: "anything but host:port",
		},
		{
			key: "h2c", def: "false", value: one(&c.H2C, "true or false", parseBool),
			doc: "Accepts HTTP/2 without TLS on the public listener (RFC 9113, section 3.3), for a load balancer that uses it. With TLS, HTTP/2 needs no setting.", refused: "`true` together with `tls.cert_file`",
		},
		{
			key: "tls.cert_file", value: one(&c.TLS.CertFile, "file", parsePath),
			doc: "The PEM certificate chain of the public listener. It is read again when the file changes; a certificate that has expired, is not valid yet, or is for another host does not replace a good one. Without it the listener speaks plain http, and a proxy in front of the service must terminate TLS. The service warns at start if the certificate is not valid yet, ends within 14 days, or is for another name than that of `public_url`.", refused: "one of the two keys without the other; a file without a certificate; an expired certificate",
		},
		{
			key: "tls.key_file", value: one(&c.TLS.KeyFile, "file", parsePath),
			doc: "The PEM private key of that certificate.", refused: "one of the two keys without the other; another certificate's key; a key with a passphrase",
		},
		{
			key: "allowed_origins", value: many(&c.AllowedOrigins, "list of origins", parseAnyOrigin),
			doc:     "Further origins of the same site whose pages may call the service with the user's cookies (CORS).",
			refused: "`*`; more than scheme, host and port; plain http, as for `public_url`",
		},
		{
			key: "trusted_proxies", value: many(&c.TrustedProxies, "list of addresses or networks", parseProxy),
			doc:     "The addresses of the proxies in front of the service. Their `X-Forwarded-For` is believed, and their `X-Request-Id` is kept if it has at most 128 letters, digits and `-_.~+/=:`. Without a proxy in this list, all of its users look like one client: that is logged, and nothing is limited by client address.",
			refused: "`0.0.0.0/0` and `::/0`, with which every client could forge its address",
		},
		{
			key: "cookies.insecure_plain_http", def: "false", value: one(&c.Cookies.InsecurePlainHTTP, "true or false", parseBool),
			doc:     "Leaves out `Secure` and the prefix `__Host-Http-`, so that browsers keep the cookies over plain http. For a test machine only. Localhost does not need it: see `public_url`.",
			refused: "`true` unless `public_url` starts with `http://`",
			means:   "sends cookies over plain http, and without the prefix that keeps other hosts from setting them",
		},
	}
}

func authOptions(a *Auth, readFile func(string) ([]byte, error)) []option {
	verifySecret := oneSecret(&a.VerifySecret, "secret", headerSecretRule("a header"))
	return []option{
		{
			key: "auth.path", def: "/auth", value: one(&a.Path, "path", parsePrefix),
			doc: "The prefix of login, callback, session and logout. Register `public_url` + this path + `/callback` as the callback URL, and at Cognito also `/passkeys/done` if users of the app add passkeys.", refused: "`/`; a slash at the end; a path that overlaps `storage.path`",
		},
		{
			key: "auth.error_path", value: one(&a.ErrorPath, "path", parseOptionalAppPath),
			doc: "The app's page for failed logins. The browser is sent there with `?error=` and `request_id=`, and with the parameters for a new try at `{auth.path}/login`: `return_to`, `identity_provider`, `idp_identifier`, `lang`, `login_hint`, `prompt`, `max_age`, those that the login had. Without it, the service shows a plain page of its own.", refused: "a URL with a host; a path below `auth.path`, which could redirect in a loop",
		},
		{
			key: "auth.trigger_messages", def: "false", value: one(&a.TriggerMessages, "true or false", parseBool),
			doc: "When a pre sign-up or pre authentication Lambda trigger of the Cognito pool refuses a user, sends the trigger's message to `auth.error_path` in the parameter `message`. The page must show it as text, never as HTML.", refused: "`true` without `auth.error_path`; `true` with `provider.kind: oidc`",
		},
		{
			key: "auth.after_logout", def: "/", value: one(&a.AfterLogout, "path", parseAppPath),
			doc: "The page that the provider sends the browser to after logout. Register `public_url` + this path as the sign-out URL, and also `{auth.path}/logout/done` if the app logs out with `return_to`.", refused: "a URL with a host",
		},
		{
			key: "auth.allow_cross_site_login", def: "false", value: one(&a.AllowCrossSiteLogin, "true or false", parseBool),
			doc: "Lets a link on another site start a login without asking the user (OWASP ASVS 5.0, V7.6.2). Needed for logins that start in the portal of an identity provider.",
		},
		{
			key: "auth.verify_secret", value: verifySecret,
			doc: "The secret that a gateway sends in `X-Auth-Request-Secret` to `{auth.path}/verify`, which answers with the user's access token. Without this key the endpoint is off (404). Whoever has the secret and a user's cookie gets the user's token: only the gateway and this service may know it.", refused: "fewer than 16 characters",
		},
		{
			key: "auth.verify_secret_file", fileFor: "auth.verify_secret", value: secretFile(&a.VerifySecretFile, verifySecret, headerSecretRule("a header"), readFile),
			doc: "A file that contains the secret on one line. It is read again when it changes.", refused: "both this and `auth.verify_secret`",
		},
	}
}

func operationOptions(c *Config, readFile func(string) ([]byte, error)) []option {
	return append([]option{
		{
			key: "spa.dir", value: one(&c.SPA.Dir, "directory", parsePath),
			doc: "The directory of the built app to serve, with security headers. `/about` is also `about.html` or `about/index.html`, as static exports write them. Any other path that belongs to nothing else gets `200.html` or else `index.html`; an export of Next.js (a directory `_next`) answers 404 with its `404.html`. If `app.js.br` or `app.js.gz` lies beside `app.js`, clients that accept it get it. Without this key, another server serves the app.", refused: "a directory without `index.html`",
		},
		{
			key: "spa.content_security_policy", value: one(&c.SPA.ContentSecurityPolicy, "header value", parseText),
			doc: "Replaces the built-in policy, which is `" + spa.DefaultPolicy("") + "`. In it, the bucket's origin is added to `img-src`, `media-src` and `connect-src`, and to the policy of an HTML file the hashes of the scripts, styles and event handlers that stand in the file itself (if the policy is then longer than 3,072 bytes, because proxies may refuse that, `style-src-attr 'unsafe-inline'` in the place of the hashes of attributes `style`; the log names the file), and `base-uri 'self'` if it has an element `base`. Wherever the word `" + spa.Placeholder + "` stands in an HTML file, it is replaced by a random value, another one in each response, which `style-src` allows, too: libraries that make style elements while the app runs take it as their nonce. Such a file is not stored by browsers. In a policy of your own, the word is replaced, too.", refused: "without `spa.dir`",
		},
		{
			key: "spa.content_security_policy_extra", value: one(&c.SPA.ExtraPolicy, "directives", parseText),
			doc: "Sources that are added to the policy, directive by directive, written as a policy: `script-src https://js.stripe.com; frame-src https://js.stripe.com`. A directive that the policy does not have begins with the sources of the one that stands in for it, such as `default-src` for `img-src`. With `'unsafe-inline'` for scripts or styles, no hashes and nonces are added there, because browsers would ignore it beside them. In the source `'nonce-" + spa.Placeholder + "'` the word is replaced, too.", refused: "without `spa.dir`; directives without sources, such as `sandbox`; `default-src`; `'none'`; any other nonce, because it would be the same in every response",
		},
		{
			key: "shutdown.delay", def: "5s", value: one(&c.Shutdown.Delay, "duration", parseDuration(0, MaxShutdownDelay)),
			doc:     "How long the service still accepts and answers requests after SIGTERM, while `/readyz` answers 503, so that load balancers stop sending before the listener closes. It is part of the 28 seconds that a shutdown may take. After SIGINT (Ctrl-C) there is no delay.",
			refused: "more than 15s",
		},
	}, append(append(adminOptions(&c.Admin, readFile), logOptions(&c.Log)...), auditOptions(&c.Audit)...)...)
}

func adminOptions(a *Admin, readFile func(string) ([]byte, error)) []option {
	token := oneSecret(&a.Token, "secret", headerSecretRule("a bearer token"))
	return []option{
		{
			key: "admin.listen", def: "127.0.0.1:9090", value: one(&a.Listen, "host:port", parseListen),
			doc: "The address of the admin listener: `/metrics`, `/healthz`, `/readyz` and `/admin/*`. It must not be reachable from outside. In a container, probes and Prometheus need `:9090`.", refused: "the address of `listen`",
		},
		{
			key: "admin.hosts", value: many(&a.Hosts, "list of names", parseHostName),
			doc: "Further host names under which the admin listener answers. It answers for addresses, for the name in `admin.listen`, and for names that are not in public DNS: `localhost` and others without a dot, and those that end with `.svc`, `.svc.cluster.local` or `.internal`. Requests to any other host get 421, so that no page on the internet can read the listener through a browser in your network (DNS rebinding).", refused: "a port; a wildcard",
		},
		{
			key: "admin.token", value: token,
			doc: "The bearer token for `/admin/*`. Without it `/admin/*` is off.", refused: "fewer than 16 characters",
		},
		{
			key: "admin.token_file", fileFor: "admin.token", value: secretFile(&a.TokenFile, token, headerSecretRule("a bearer token"), readFile),
			doc: "A file that contains the token on one line. It is read again when it changes.", refused: "both this and `admin.token`",
		},
		{
			key: "admin.tokens", value: adminTokens(&a.Tokens, readFile),
			doc:     "Further bearer tokens for `/admin/*`, with names that the audit trail and the log show: who revoked. Each item has the keys of the next table.",
			refused: "two tokens with the same name",
		},
	}
}

func auditOptions(a *Audit) []option {
	return []option{
		{
			key: "audit.output", def: AuditStderr, value: one(&a.Output, "word", oneOf(AuditStderr, AuditFile, AuditOff)),
			doc: "Where the audit trail goes: who logged in, who was refused, which sessions ended and why, which files were signed ([fields](monitoring/audit.md)). `stderr`: among the records of the log, as lines of JSON with `\"type\":\"audit\"`, whatever `log.level` says.", refused: "`file` without `audit.file`",
		},
		{
			key: "audit.file", value: one(&a.File, "file", parsePath),
			doc: "The file of the trail, with `audit.output: file`. Records are appended; if the file is moved or removed, it is made anew.", refused: "a value without `audit.output: file`; a file that cannot be written",
		},
		{
			key: "audit.format", def: "json", value: one(&a.Format, "word", oneOf("json", "ocsf")),
			doc: "`ocsf` writes events of the class Authentication (3002) of the Open Cybersecurity Schema Framework 1.3.0, as Amazon Security Lake takes them.",
		},
		{
			key: "audit.on_failure", def: "continue", value: one(&a.OnFailure, "word", oneOf("continue", "refuse")),
			doc: "What happens while the trail cannot be written, for example because the disk is full. `continue`: records wait in a queue, and those that do not fit are lost and counted. `refuse`: logins, refreshes and requests for presigned URLs wait for a second and then get 503 `audit_unavailable`; sessions are kept. Logouts, revocations and requests to APIs whose token is valid always go on.", refused: "`refuse` without `audit.output: file`",
		},
	}
}

func logOptions(l *Log) []option {
	return []option{
		{
			key: "log.level", def: "info", value: one(&l.Level, "word", oneOf("debug", "info", "warn", "error")),
			doc: "The lowest level that is logged: `debug`, `info`, `warn` or `error`. At `warn` the log has failed logins, requests that failed, and users with a session who were refused (401, 403, 429), with the session's name.",
		},
		{
			key: "log.format", def: "json", value: one(&l.Format, "word", oneOf("text", "json")),
			doc: "`json` for machines, `text` for people.",
		},
		{
			key: "log.requests", def: "all", value: one(&l.Requests, "word", oneOf("all", "errors", "none")),
			doc: "Which requests are logged: `all`, `errors` (those that were refused, failed or broke off), or `none`. Logins, logouts, refreshes and revocations are logged in any case, and metrics count all requests.",
		},
	}
}
