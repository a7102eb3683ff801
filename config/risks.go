package config

import (
	"math"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"time"

	"cognito-token-handler/tokenhandler/secret"
)

// risk is a value that a key could take and that weakens a protection without
// saying so. What Load does about it is in the same table as what reference.md says.
type risk struct {
	// value names the value, result what happens, why the reason; for reference.md.
	value, result, why string
	// find reports the fault or the warning; nil if that is done elsewhere.
	find func(l *loader, c *Config)
}

const (
	isRefused = "refused"
	isWarned  = "warning"
)

// risks returns all of them, except for the keys that start with insecure_.
func risks() []risk {
	return append([]risk{
		{
			"`session.store` with `redis://` or `valkey://` on another machine", "refused without `session.insecure_plain_store: true`",
			"the password crosses the network in the clear, and whoever is on the way can answer in the store's place", (*loader).riskStore,
		},
		{
			"`session.absolute_lifetime` over 720h (30 days)", isWarned,
			"a stolen cookie works that long, and a device that was given away too (NIST SP 800-63B, section 4.1.3)", (*loader).riskLifetime,
		},
		{
			"`storage.expires` over 1h", isWarned, "everybody who has seen a presigned URL can upload with it until then", (*loader).riskExpires,
		},
		{
			"`auth.allow_cross_site_login: true`", isWarned, "another site can log its visitors in without asking them (OWASP ASVS 5.0, V7.6.2)", (*loader).riskCrossSiteLogin,
		},
		{
			"`trusted_proxies` with a network shorter than /8 (IPv4) or /16 (IPv6, except private ones), or with more than a sixteenth of all IPv4 addresses", isRefused,
			"clients in these networks can forge their address", (*loader).riskProxies,
		},
		{
			"`admin.listen` on more than the loopback interface, without `admin.token`", isWarned, "everybody in the network can read metrics and `/readyz`", (*loader).riskAdmin,
		},
		{
			"the same value for `admin.token` and `auth.verify_secret`", isRefused, "the gateway could end sessions, and operators get users' tokens", (*loader).riskSameSecret,
		},
		{
			"`spa.content_security_policy` or `spa.content_security_policy_extra` with `'unsafe-inline'`, `'unsafe-eval'`, `data:`, `http:`, `https:` or `*` for scripts, or with `http:`, `https:` or `*` in `frame-ancestors`; the former with a nonce for scripts that is the same in every response, without `default-src` and `script-src`, or without `frame-ancestors`", isWarned,
			"an injected script runs with the user's session; another site can frame the app", (*loader).riskPolicy,
		},
		{
			"`spa.dir` that is a system directory, such as `/`, or contains a file that the configuration names", isRefused,
			"the service would send these files to everybody", (*loader).riskDirectory,
		},
	}, outwardRisks()...)
}

// outwardRisks returns those that concern what the service connects to.
func outwardRisks() []risk {
	return []risk{
		{
			"a route to the admin listener or to the service's own listener", isRefused,
			"users could read metrics and try the admin token; a request could call itself without end", (*loader).riskOwnListeners,
		},
		{
			"a route to a link-local address (169.254.0.0/16, fe80::/10) or another address of cloud metadata", isRefused,
			"users could read the credentials of the machine", (*loader).riskMetadata,
		},
		{
			"a route to a Unix socket below `/tmp`, `/var/tmp` or `/dev/shm`", isWarned,
			"every user of the machine can create the socket first, and receive the tokens", (*loader).riskSocket,
		},
		{
			"`storage` with the origin of `public_url` or one of `allowed_origins`, unless `storage.content_types` has only types that browsers do not execute", isRefused,
			"a user could upload a page or script that acts as the app", (*loader).riskUploads,
		},
		{
			"`storage.credentials: web_identity` or `identity_pool` with an issuer that is not `https://`", isWarned,
			"AWS cannot verify the ID tokens, so that nobody gets credentials", (*loader).riskIssuerOfStorage,
		},
		{
			"`storage.credentials: web_identity` with `token: id` for a route", isWarned,
			"that API can assume the role itself, without the policy that restricts it to one user's folder", (*loader).riskSharedIDToken,
		},
		{
			"`OTEL_EXPORTER_OTLP_HEADERS` with an `http://` endpoint on another machine", isWarned, "the collector's key crosses the network in the clear", nil,
		},
		{
			"a file with a secret, or the configuration with one in it, that other users of the machine can read or change (outside containers)", isWarned,
			"they can make cookies, or act as this client", nil,
		},
	}
}

func (l *loader) checkRisks(c *Config) {
	for _, r := range risks() {
		if r.find != nil {
			r.find(l, c)
		}
	}
}

// riskStore finds a store without TLS on another machine.
func (l *loader) riskStore(c *Config) {
	key := "session.store"
	if l.isSet("session.store_file") {
		key = "session.store_file"
	}
	if !l.valid(key, "session.insecure_plain_store") {
		return
	}
	u, err := url.Parse(c.Session.Store.Reveal())
	plain := err == nil && (u.Scheme == "redis" || u.Scheme == "valkey") && !isLoopback(u.Hostname())
	switch {
	case plain && !c.Session.InsecurePlainStore:
		l.fault(key, "is a store on another machine without TLS", "write rediss:// or valkeys://, or set session.insecure_plain_store: true if the network itself encrypts")
	case !plain && c.Session.InsecurePlainStore:
		l.fault("session.insecure_plain_store", "is true, but the store does not need it", "remove it")
	}
}

// longLifetime is the longest life of a session that no warning names.
const longLifetime = 30 * 24 * time.Hour

func (l *loader) riskLifetime(c *Config) {
	if c.Session.AbsoluteLifetime > longLifetime {
		l.warn("session.absolute_lifetime", "lets a stolen cookie work for "+showDuration(c.Session.AbsoluteLifetime), "write at most "+showDuration(longLifetime)+" if your users can log in again")
	}
}

func (l *loader) riskExpires(c *Config) {
	if c.Storage.Expires > time.Hour {
		l.warn("storage.expires", "lets everybody who has seen a presigned URL upload with it for "+showDuration(c.Storage.Expires), "write at most 1h: it must only last until the upload begins")
	}
}

func (l *loader) riskCrossSiteLogin(c *Config) {
	if c.Auth.AllowCrossSiteLogin {
		l.warn("auth.allow_cross_site_login", "lets another site log its visitors in without asking them", "remove it unless logins start in the portal of an identity provider")
	}
}

// mostTrusted is a sixteenth of all IPv4 addresses.
const mostTrusted = math.MaxUint32/16 + 1

// riskProxies finds networks that are not too wide alone, but are together.
func (l *loader) riskProxies(c *Config) {
	trusted := uint64(0)
	for i, p := range c.TrustedProxies {
		within := func(other netip.Prefix) bool {
			return other.Bits() < p.Bits() && other.Contains(p.Addr())
		}
		if p.Addr().Is4() && !slices.ContainsFunc(c.TrustedProxies, within) && slices.Index(c.TrustedProxies, p) == i {
			trusted += 1 << (32 - p.Bits())
		}
	}
	if trusted > mostTrusted {
		l.fault("trusted_proxies", "trusts more than a sixteenth of all IPv4 addresses", "write the networks of your own proxies only")
	}
}

func (l *loader) riskAdmin(c *Config) {
	if host, _, ok := listenAddress(c.Admin.Listen); ok && !isLoopback(host) && !c.Admin.IsOn() {
		l.warn("admin.listen", "lets everybody in the network read metrics and /readyz", "let only Prometheus and probes reach the port, or write 127.0.0.1:9090")
	}
}

func (l *loader) riskSameSecret(c *Config) {
	tokens := []secret.String{c.Admin.Token}
	for i := range c.Admin.Tokens {
		tokens = append(tokens, c.Admin.Tokens[i].Token)
	}
	for i, token := range tokens {
		switch {
		case token.IsZero():
		case token.Equal(c.Auth.VerifySecret):
			l.fault(l.firstSet("auth.verify_secret", "auth.verify_secret_file"), "has the same value as an admin token", "make a secret of its own for the gateway")
		case slices.ContainsFunc(tokens[:i], token.Equal):
			l.fault("admin.tokens", "has an item with the same value as another admin token", "make a token of its own for everybody")
		}
	}
}

// riskDirectory finds system directories. [Load] finds those with files that the
// configuration names.
func (l *loader) riskDirectory(c *Config) {
	if c.SPA.Dir == "" {
		return
	}
	system := []string{"/", "/boot", "/dev", "/etc", "/home", "/proc", "/root", "/run", "/sys", "/usr", "/var"}
	if dir := filepath.Clean(c.SPA.Dir); slices.Contains(system, dir) {
		l.fault("spa.dir", quote(dir)+" is a directory of the system, and would be sent to everybody", "write the directory of the built app")
	}
}
