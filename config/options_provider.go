package config

import "time"

// maxRequestsPerSecond is more than AWS grants to any pool: a larger number is a
// typing error.
const maxRequestsPerSecond = 10_000

func providerOptions(p *Provider, readFile func(string) ([]byte, error)) []option {
	grace := one(&p.RotationGrace, "duration", parseDuration(0, maxGrace))
	clientSecret := manySecrets(&p.ClientSecret, "secret, or a list", clientSecretRule())
	return append([]option{
		{
			key: "provider.kind", value: one(&p.Kind, "word", oneOf(KindCognito, KindOIDC)),
			doc: "`cognito` follows Amazon Cognito where it differs from OpenID Connect: its logout and its claims. `oidc` is plain OpenID Connect, with back-channel logout at `{auth.path}/backchannel-logout` and with `id_token_hint` at logout. (The hint is a token, so a script does not get it: its `logout_url` is one of the service, good for 60 seconds and once, which redirects with the hint.) Default: `cognito` if the issuer is a Cognito user pool, else `oidc`.",
		},
		{
			key: "provider.issuer", value: one(&p.Issuer, "URL", parseIssuer),
			doc:     "The issuer, spelt exactly as in the provider's discovery document. Both forms of Cognito's issuer work: `https://cognito-idp.…` and `https://issuer-cognito-idp.…`. Required.",
			refused: "plain http, except for localhost (OWASP ASVS 5.0, V12.2.1); a query or a fragment; the URL of the discovery document; of Cognito: the domain of the hosted UI, a host that is nearly Cognito's (without `provider.kind`), a pool of another region, a slash at the end or any other spelling than in the tokens",
		},
		{
			key: "provider.domain", value: one(&p.Domain, "origin", parseSecureOrigin),
			doc: "The domain of Cognito's hosted UI, such as `https://auth.example.com`. Default: taken from the discovery document.", refused: "plain http, except for localhost; a path; the host of the issuer; another region than the user pool's",
		},
		{
			key: "provider.client_id", value: one(&p.ClientID, "name", parseWord),
			doc: "The id of the app client. Required.", refused: "the id of a user pool",
		},
		{
			key: "provider.trusted_audiences", value: many(&p.TrustedAudiences, "list of names", parseWord),
			doc: "Further audiences that an ID token or a logout token may have beside the client id, such as the id of a ZITADEL project. A token for several audiences must name the client in `azp`. Default: none; such tokens are refused.",
		},
		{
			key: "provider.client_secret", value: clientSecret,
			doc:     "The secret of the app client. While a secret is being replaced, list both: the service tries the next one when the provider refuses one. In the environment variable, write one secret per line. Required, unless `provider.insecure_public_client` is true.",
			refused: "more than 4 secrets; the same secret twice",
		},
		{
			key: "provider.client_secret_file", fileFor: "provider.client_secret",
			value: secretFile(&p.ClientSecretFile, clientSecret, clientSecretRule(), readFile),
			doc:   "A file that contains one secret per line. It is read again when it changes.", refused: "both this and `provider.client_secret`",
		},
		{
			key: "provider.insecure_public_client", def: "false", value: one(&p.InsecurePublicClient, "true or false", parseBool),
			doc: "Declares that the app client has no secret. PKCE alone then protects the authorization code.", refused: "`true` together with a client secret",
			means: "lets everybody who has stolen a code and its verifier exchange them for tokens",
		},
		{
			key: "provider.client_auth", def: "basic", value: one(&p.ClientAuth, "word", oneOf("basic", "post")),
			doc: "How the secret is sent to the token endpoint: `basic` (`Authorization` header) or `post` (form field).",
		},
		{
			key: "provider.scopes", def: "openid, email, profile", value: many(&p.Scopes, "list of scopes", parseScope),
			doc:     "The scopes that a login asks for. The app client must allow each of them.",
			refused: "a list without `openid`; `offline_access` with Cognito, which has no such scope and always issues a refresh token",
		},
		{
			key: "provider.insecure_skip_nonce", def: "false", value: one(&p.InsecureSkipNonce, "true or false", parseBool),
			doc:   "Accepts ID tokens without the nonce of the login. Only for test providers that do not return it, such as cognito-local.",
			means: "accepts ID tokens that were not issued for this login",
		},
		{
			key: "provider.insecure_logout_token_without_exp", def: "false", value: one(&p.InsecureLogoutWithoutExp, "true or false", parseBool),
			doc:   "Accepts back-channel logout tokens that leave out `exp`, as those of some versions of Ory Hydra, authentik and LemonLDAP::NG do. Such a token is accepted once, and within 5 minutes of its `iat`. Only with `provider.kind: oidc`.",
			means: "accepts logout tokens that do not say when they expire",
		},
		{
			key: "provider.max_requests_per_second", def: "100", value: one(&p.MaxRequestsPerSecond, "number", parseCount(maxRequestsPerSecond)),
			doc: "How many calls (logins, refreshes, revocations, userInfo) this process sends to the provider per second; bursts may be a fifth larger. Further calls wait for their turn: refreshes before logins, and logins of different client addresses alternately (so set `trusted_proxies`). Addresses whose codes the provider refused share a quarter of the rate. A call whose turn would come too late is answered with 429. " +
				"The default fits Cognito's quota of 120 calls per second for a whole user pool. Several replicas share that quota: divide by their number.",
			refused: "less than 1; more than 10000",
		},
		{
			key: "provider.rotation_grace", def: "0s", value: grace,
			doc:     "How long the provider still accepts a refresh token after it was rotated: the app client's `RetryGracePeriodSeconds` in Cognito. With 10s or more, replicas go on refreshing while `session.store` cannot be reached. With less they stop, because two replicas that use the same refresh token would look like theft: a session whose access token has expired then gets 503 until the store is back. With 0s, a session is also lost if a replica stands still for over 17 seconds between the provider's answer and storing it.",
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
		table[i].doc = "Replaces the endpoint of the discovery document. If authorization, token and jwks are set, the document is not fetched."
		table[i].refused = "plain http, except for localhost"
	}
	return table
}

func sessionOptions(s *Session, readFile func(string) ([]byte, error)) []option {
	var storePath string
	keys := manySecrets(&s.Keys, "base64 key, or a list", keyRule())
	store := oneSecret(&s.Store, "URL", storeRule())
	span := func(dst *time.Duration, least, most time.Duration) value {
		return one(dst, "duration", parseDuration(least, most))
	}
	return []option{
		{
			key: "session.keys", value: keys,
			doc:     "The keys that encrypt the cookies, each 32 bytes in base64. The first key encrypts; all keys decrypt. `tokenhandler keygen --out session_keys` makes one. To rotate, add the new key as the first line and keep the old one for `absolute_lifetime`. With several replicas, append it last, wait until every replica has read it, then move it to the top. In the environment variable, write one key per line, or separate them by commas. Required.",
			refused: "keys of another length; the same key twice; more than 16 keys",
		},
		{
			key: "session.keys_file", fileFor: "session.keys", value: secretFile(&s.KeysFile, keys, keyRule(), readFile),
			doc: "A file that contains one key per line; lines that start with `#` are comments. It is read again when it changes.", refused: "both this and `session.keys`",
		},
		{
			key: "session.idle_timeout", def: "1h", value: span(&s.IdleTimeout, time.Second, maxLifetime),
			doc: "A session ends when it has had no request for this long. `GET {auth.path}/session` does not count as a request.", refused: "less than 1s; more than `session.absolute_lifetime`",
		},
		{
			key: "session.absolute_lifetime", def: "12h", value: span(&s.AbsoluteLifetime, time.Second, maxLifetime),
			doc: "A session ends this long after the login, even if it is in use. It ends sooner if the refresh token expires first: with rotation too, Cognito gives each new refresh token only the remaining life of the first.", refused: "more than 87600h (3650 days)",
		},
		{
			key: "session.persistent", def: "false", value: one(&s.Persistent, "true or false", parseBool),
			doc: "Keeps the session in the browser after it was closed, until `session.absolute_lifetime` or `session.idle_timeout` ends it: the cookies get `Max-Age`. Otherwise they end with the browser. Browsers keep cookies for 400 days at most.",
		},
		{
			key: "session.refresh_before", def: "60s", value: span(&s.RefreshBefore, time.Second, maxLifetime),
			doc: "An access token that expires within this time is refreshed. If the refresh token expires before the access token, the session is refreshed from half the refresh token's life on.", refused: "`session.idle_timeout` or more",
		},
		{
			key: "session.refresh_grace", def: "30s", value: span(&s.RefreshGrace, 0, maxGrace),
			doc: "How long the result of a refresh is kept for requests that still carry the older cookie, such as parallel requests of the same page.", refused: "more than 5m",
		},
		{
			key: "session.claims", def: "sub, username, email, email_verified, name, groups",
			value: many(&s.Claims, "list of claims", parseWord),
			doc:   "The claims of the user that `{auth.path}/session` returns.",
		},
		{
			key: "session.cookie_name", def: "session", value: one(&s.CookieName, "name", parseCookieName),
			doc: "The name of the session cookie, without the prefix `__Host-Http-`. The names of the other cookies are derived from it. With `shop` it is `__Host-Http-shop`, and `shop-session-8080` on `http://localhost:8080`.", refused: "`active`, `began`, `login`, and names that start or end with one of them, such as `my-login`",
		},
		{
			key: "session.store", value: store,
			doc: "The Valkey or Redis server that replicas share, as `valkey://host:6379/0` or `redis://…`, with TLS `valkeys://…` or `rediss://…`; a user and password go before the host. With `?cluster=true` the host is one of a cluster, or its configuration endpoint. With `?iam=true&cache=my-cache&region=eu-central-1` (and `&serverless=true`) the user logs in to Amazon ElastiCache with the service's AWS credentials instead of a password. The server holds revocations and the results of refreshes, also over restarts. Without it they are in memory, which is enough for one process, and for several if the provider does not rotate refresh tokens or `provider.rotation_grace` is 10s or more.", refused: "other schemes and parameters; a URL without a host; a server on another machine without TLS (OWASP ASVS 5.0, V12.3.1)",
		},
		{
			key: "session.insecure_plain_store", def: "false", value: one(&s.InsecurePlainStore, "true or false", parseBool),
			doc: "Allows a store on another machine without TLS.", refused: "`true` with a store that does not need it",
			means: "sends the store's password over plain TCP, where others can read it or answer in the store's place",
		},
		{
			key: "session.store_file", fileFor: "session.store", value: secretFile(&storePath, store, storeRule(), readFile),
			doc: "A file that contains the URL on one line.", refused: "both this and `session.store`",
		},
		{
			key: "session.probe_interval", def: "0s", value: span(&s.ProbeInterval, 0, maxLifetime),
			doc: "The shortest time between two calls of the provider's userInfo endpoint for one session. They find out that a user was disabled before the access token expires. The request that triggers the call waits for it, at most 3 seconds. 0: no such calls.",
		},
	}
}
