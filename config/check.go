package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"

	"cognito-token-handler/oauthproxy/spa"
)

// check checks combinations of keys, and that the required keys are set.
func (l *loader) check(c *Config) {
	l.checkOrigins(c)
	l.checkServer(c)
	l.checkProvider(&c.Provider)
	l.checkSession(&c.Session)
	if c.Revocation.OnOutage == "deny" && !l.isSet("session.store") && !l.isSet("session.store_file") {
		l.fault("revocation.on_outage", "is deny, but session.store is not set", "set session.store, or remove it: memory has no outage")
	}
	l.checkAuth(c)
	l.checkAudit(&c.Audit)
	l.checkPaths(c)
	l.checkRoutes(c)
	l.checkStorage(&c.Storage)
	l.checkRegions(c)
	l.checkRisks(c)
	l.checkPolicy(&c.SPA)
}

// checkPolicy checks what the keys of the app's Content-Security-Policy say together.
func (l *loader) checkPolicy(s *SPA) {
	const key = "spa.content_security_policy_extra"
	for _, policy := range []struct{ key, value string }{{"spa.content_security_policy", s.ContentSecurityPolicy}, {key, s.ExtraPolicy}} {
		if policy.value != "" && s.Dir == "" {
			l.fault(policy.key, "is set, but spa.dir is not", "set spa.dir, or remove it")
		}
	}
	if s.ExtraPolicy == "" || !l.valid(key) {
		return
	}
	if err := spa.CheckExtra(s.ExtraPolicy); err != nil {
		l.fault(key, err.Error(), "write directives with sources, such as script-src https://js.stripe.com; frame-src https://js.stripe.com")
	}
}

// required reports a fault if the key is not set. The result says whether the key
// is set and valid.
func (l *loader) required(key, fix string) bool {
	if !l.isSet(key) {
		l.fault(key, "is missing", fix)
		return false
	}
	return l.valid(key)
}

// checkOrigins refuses origins with plain http, over which session cookies could be
// read (OWASP ASVS 5.0, V12.2.1). Localhost is allowed, because the traffic does
// not leave the machine, and so is what cookies.insecure_plain_http allows.
func (l *loader) checkOrigins(c *Config) {
	const exception = "write https:// (or set cookies.insecure_plain_http: true on a test machine)"
	plain := c.Cookies.InsecurePlainHTTP
	if l.required("public_url", "write the origin that browsers see, such as https://app.example.com") && c.PublicURL != nil {
		if !plain && insecure(c.PublicURL) != nil {
			l.fault("public_url", quote(c.PublicURL.String())+" is not https", exception)
		}
		if plain && c.PublicURL.Scheme != "http" {
			l.fault("cookies.insecure_plain_http", "is true, but public_url is not http://", "remove it")
		}
	}
	for i, origin := range c.AllowedOrigins {
		u, err := url.Parse(origin)
		if err == nil && !plain && insecure(u) != nil {
			l.fault("allowed_origins", fmt.Sprintf("has %s (item %d), which is not https", quote(origin), i+1), exception)
		}
	}
}

func (l *loader) checkServer(c *Config) {
	for _, pair := range [][2]string{{"tls.cert_file", "tls.key_file"}, {"tls.key_file", "tls.cert_file"}} {
		if l.isSet(pair[0]) && !l.isSet(pair[1]) {
			l.fault(pair[0], "is set, but "+pair[1]+" is not", "set both or neither")
		}
	}
	if c.H2C && l.isSet("tls.cert_file") {
		l.fault("h2c", "is true together with tls.cert_file", "remove it: over TLS, HTTP/2 is always on")
	}
	if l.valid("listen", "admin.listen") && sameAddress(c.Listen, c.Admin.Listen) {
		l.fault(l.firstSet("admin.listen", "listen"),
			fmt.Sprintf("makes listen (%s) and admin.listen (%s) take the same port", c.Listen, c.Admin.Listen), "write another port")
	}
}

func (l *loader) checkAuth(c *Config) {
	switch {
	case !c.Auth.TriggerMessages:
	case c.Auth.ErrorPath == "" && l.valid("auth.error_path"):
		l.fault("auth.trigger_messages", "is true, but auth.error_path is not set", "set auth.error_path, or remove it")
	case c.Provider.Kind == KindOIDC:
		l.fault("auth.trigger_messages", "is true, but only Cognito has Lambda triggers", "remove it")
	}
}

// sameAddress reports whether two listeners cannot both be opened. Port 0 stands
// for any free port.
func sameAddress(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	everywhere := []string{"", "0.0.0.0", "::"}
	return hostA == hostB || slices.Contains(everywhere, hostA) || slices.Contains(everywhere, hostB)
}

func (l *loader) checkAudit(a *Audit) {
	if !l.valid("audit.output", "audit.file", "audit.on_failure") {
		return
	}
	switch toFile := a.Output == AuditFile; {
	case toFile && a.File == "":
		l.fault("audit.output", "is file, but audit.file is not set", "set audit.file")
	case !toFile && a.File != "":
		l.fault("audit.file", "is set, but audit.output is "+a.Output, "write audit.output: file, or remove it")
	case !toFile && a.OnFailure == "refuse":
		l.fault("audit.on_failure", "is refuse, but audit.output is "+a.Output+", of which nobody knows whether it is kept", "write audit.output: file, or remove it")
	}
}

func (l *loader) checkProvider(p *Provider) {
	if p.Kind == "" {
		p.Kind = inferKind(p.Issuer)
		l.checkPoolHost(p.Issuer)
	}
	l.required("provider.issuer", "write the issuer, such as https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI")
	l.required("provider.client_id", "write the app client's id")
	l.checkIssuer(p)
	hasSecret := l.isSet("provider.client_secret") || l.isSet("provider.client_secret_file")
	switch {
	case !l.valid("provider.insecure_public_client"):
	case hasSecret && p.InsecurePublicClient:
		l.fault("provider.insecure_public_client", "is true together with a client secret", "remove one of the two")
	case !hasSecret && !p.InsecurePublicClient:
		l.fault("provider.client_secret", "is missing", "set it or provider.client_secret_file (or provider.insecure_public_client: true for a client without secret)")
	}
	if !l.valid("provider.scopes") {
		return
	}
	if !slices.Contains(p.Scopes, "openid") {
		l.fault("provider.scopes", "must include openid", "add openid: without it the provider issues no ID token")
	}
	if p.Kind == KindCognito && slices.Contains(p.Scopes, "offline_access") {
		l.fault("provider.scopes", "must not include offline_access: Cognito has no such scope and refuses the login", "remove it: Cognito always issues a refresh token")
	}
}

func (l *loader) checkSession(s *Session) {
	if !l.isSet("session.keys") && !l.isSet("session.keys_file") {
		l.fault("session.keys", "is missing", "set it or session.keys_file; "+keyFix)
	}
	if l.valid("session.idle_timeout", "session.absolute_lifetime") && s.IdleTimeout > s.AbsoluteLifetime {
		l.fault(l.firstSet("session.idle_timeout", "session.absolute_lifetime"),
			fmt.Sprintf("makes the idle timeout (%s) longer than the absolute lifetime (%s)", showDuration(s.IdleTimeout), showDuration(s.AbsoluteLifetime)),
			"write an idle_timeout of at most absolute_lifetime")
	}
	if l.valid("session.refresh_before", "session.idle_timeout") && s.RefreshBefore >= s.IdleTimeout {
		l.fault(l.firstSet("session.refresh_before", "session.idle_timeout"),
			fmt.Sprintf("makes refresh_before (%s) no shorter than the idle timeout (%s)", showDuration(s.RefreshBefore), showDuration(s.IdleTimeout)),
			"write a refresh_before well below idle_timeout")
	}
	if l.valid("session.claims") && len(s.Claims) == 0 {
		l.fault("session.claims", "is empty", "write at least sub")
	}
}

// firstSet returns the first of the keys that is set, so that a fault points at a
// line of the file and not at a default.
func (l *loader) firstSet(keys ...string) string {
	for _, key := range keys {
		if l.isSet(key) {
			return key
		}
	}
	return keys[0]
}
