package config

import "time"

// maxRequestsPerSecond is more than any pool is granted: a larger number is a slip.
const maxRequestsPerSecond = 10_000

func providerOptions(p *Provider, readFile func(string) ([]byte, error)) []option {
	var secretPath string
	grace := one(&p.RotationGrace, "duration", parseDuration(0, maxGrace))
	clientSecret := secrets(&p.ClientSecret, "secret, or a list", clientSecretRule())
	return append([]option{
		{
			key: "provider.kind", value: one(&p.Kind, "word", oneOf(KindCognito, KindOIDC)),
			doc: "`cognito`: Cognito's logout, claims and quirks. `oidc`: plain OpenID Connect, with back-channel logout at `{auth.path}/backchannel-logout`. A form that posts to `{auth.path}/logout` is sent on with `id_token_hint`; the `logout_url` that a script gets has none, because it would be a token. Default: `cognito` if the issuer is one of Cognito's, else `oidc`.",
		},
		{
			key: "provider.issuer", value: one(&p.Issuer, "URL", parseIssuer),
			doc:     "To the letter as the provider's discovery document spells it. Both of Cognito's forms work (COG-DISC-02). Required.",
			refused: "plain http, except on localhost (V12.2.1); a query or fragment",
		},
		{
			key: "provider.domain", value: one(&p.Domain, "origin", parseSecureOrigin),
			doc: "The hosted UI's domain, such as `https://auth.example.com`. Default: from discovery.", refused: "plain http, except on localhost; a path",
		},
		{
			key: "provider.client_id", value: one(&p.ClientID, "name", parseWord),
			doc: "The app client's id. Required.",
		},
		{
			key: "provider.client_secret", value: clientSecret,
			doc:     "The app client's secret. With two while one is being replaced, each is tried (COG-TOK-01). Required, unless `provider.insecure_public_client`. In the environment one a line.",
			refused: "more than 4; repeated ones",
		},
		{
			key: "provider.client_secret_file", fileFor: "provider.client_secret",
			value: secretFile(&secretPath, clientSecret, clientSecretRule(), readFile),
			doc:   "A file with one secret a line.", refused: "both this and `provider.client_secret`",
		},
		{
			key: "provider.insecure_public_client", def: "false", value: one(&p.InsecurePublicClient, "true or false", parseBool),
			doc: "The app client has no secret; PKCE alone protects the code.", refused: "`true` beside a client secret",
		},
		{
			key: "provider.client_auth", def: "basic", value: one(&p.ClientAuth, "word", oneOf("basic", "post")),
			doc: "How the secret is sent to the token endpoint: `basic` (header) or `post` (form).",
		},
		{
			key: "provider.scopes", def: "openid, email, profile", value: many(&p.Scopes, "list of scopes", parseScope),
			doc:     "What a login asks for. The app client must allow each.",
			refused: "a list without `openid`; `offline_access` at Cognito, which has no such scope and always gives a refresh token",
		},
		{
			key: "provider.insecure_skip_nonce", def: "false", value: one(&p.InsecureSkipNonce, "true or false", parseBool),
			doc: "Accepts ID tokens without our nonce. Only for test providers that do not echo it (cognito-local).",
		},
		{
			key: "provider.max_requests_per_second", def: "100", value: one(&p.MaxRequestsPerSecond, "number", parseCount(1, maxRequestsPerSecond)),
			doc: "How many logins, refreshes, revocations and userInfo calls this process sends a second, with bursts of a fifth more; others wait for their turn, or are refused with 429 if it would come too late. " +
				"The default fits Cognito's 120 a second for a whole pool (COG-QUO-01): replicas share that, so divide by their number.",
			refused: "less than 1; more than 10000",
		},
		{
			key: "provider.rotation_grace", def: "0s", value: grace,
			doc:     "How long the provider takes a refresh token that it has replaced: at Cognito the app client's RetryGracePeriodSeconds (COG-ROT-01). With 10s or more, replicas refresh also while `session.store` is out; with less, a session whose token has ended then waits (503), so that no race can end it.",
			refused: "more than 5m",
		},
	}, endpointOptions(&p.Endpoints)...)
}

func endpointOptions(e *Endpoints) []option {
	table := []option{
		{key: "provider.endpoints.authorization", value: one(&e.Authorization, "URL", parseEndpoint)},
		{key: "provider.endpoints.token", value: one(&e.Token, "URL", parseEndpoint)},
		{key: "provider.endpoints.revocation", value: one(&e.Revocation, "URL", parseEndpoint)},
		{key: "provider.endpoints.userinfo", value: one(&e.Userinfo, "URL", parseEndpoint)},
		{key: "provider.endpoints.logout", value: one(&e.Logout, "URL", parseEndpoint)},
		{key: "provider.endpoints.jwks", value: one(&e.JWKS, "URL", parseEndpoint)},
	}
	for i := range table {
		table[i].doc = "Instead of what discovery says. With authorization, token and jwks given, discovery is not needed."
		table[i].refused = "plain http, except on localhost"
	}
	return table
}

func sessionOptions(s *Session, readFile func(string) ([]byte, error)) []option {
	var storePath string
	keys := secrets(&s.Keys, "base64 key, or a list", keyRule())
	store := single(&s.Store, "URL", storeRule())
	span := func(dst *time.Duration, least, most time.Duration) value {
		return one(dst, "duration", parseDuration(least, most))
	}
	return []option{
		{
			key: "session.keys", value: keys,
			doc:     "Keys that seal the cookies, each 32 bytes in base64: the first seals, all open, so a new one goes first and the old one stays until its sessions are over. Required. In the environment one a line, or between commas. Make them with `tokenhandler keygen`.",
			refused: "other lengths; repeated keys; more than 16",
		},
		{
			key: "session.keys_file", fileFor: "session.keys", value: secretFile(&s.KeysFile, keys, keyRule(), readFile),
			doc: "A file with one key a line (`#` begins a comment), read again when it changes.", refused: "both this and `session.keys`",
		},
		{
			key: "session.idle_timeout", def: "1h", value: span(&s.IdleTimeout, time.Second, maxLifetime),
			doc: "A session ends this long after its last request.", refused: "less than 1s; more than `session.absolute_lifetime`",
		},
		{
			key: "session.absolute_lifetime", def: "12h", value: span(&s.AbsoluteLifetime, time.Second, maxLifetime),
			doc: "A session ends this long after the login, whatever happens. Cognito's refresh token may end it sooner (COG-ROT-02).", refused: "more than 87600h (3650 days)",
		},
		{
			key: "session.refresh_before", def: "60s", value: span(&s.RefreshBefore, time.Second, maxLifetime),
			doc: "An access token with less than this left is refreshed.", refused: "`session.idle_timeout` or more",
		},
		{
			key: "session.refresh_grace", def: "30s", value: span(&s.RefreshGrace, 0, maxGrace),
			doc: "How long the result of a refresh is kept for requests that still carry the tokens before it (COG-ROT-05).", refused: "more than 5m",
		},
		{
			key: "session.claims", def: "sub, username, email, email_verified, name, groups",
			value: many(&s.Claims, "list of claims", parseWord),
			doc:   "What `/auth/session` shows of the user.",
		},
		{
			key: "session.cookie_name", def: "session", value: one(&s.CookieName, "name", parseCookieName),
			doc: "The part after `__Host-Http-`; also names the other two cookies.", refused: "`active`, `login` and names made of them",
		},
		{
			key: "session.store", value: store,
			doc: "`valkey://host:6379/0`, perhaps with `user:…@` before the host, `redis://…` or, with TLS, `valkeys://…`, `rediss://…`: revocations and refreshes shared by replicas, and kept over restarts. Without it, memory: enough for one process, and for several if the provider's rotation is off or `provider.rotation_grace` is 10s or more.", refused: "other schemes; a URL without a host",
		},
		{
			key: "session.store_file", fileFor: "session.store", value: secretFile(&storePath, store, storeRule(), readFile),
			doc: "A file with the URL on one line.", refused: "both this and `session.store`",
		},
		{
			key: "session.probe_interval", def: "0s", value: span(&s.ProbeInterval, 0, maxLifetime),
			doc: "How often the provider's userInfo is asked at most whether a session's user is still good, so that a disabled user is noticed before the access token ends (COG-UI-02). The request that is due waits for it, for 3 seconds at most. 0: never.",
		},
	}
}
