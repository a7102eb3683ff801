package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// check is what several keys say together.
func (l *loader) check(c *Config) {
	l.checkOrigins(c)
	l.checkServer(c)
	l.checkProvider(&c.Provider)
	l.checkSession(&c.Session)
	if c.Revocation.OnOutage == "deny" && !l.has("session.store") && !l.has("session.store_file") {
		l.fault("revocation.on_outage", "is deny, but session.store is not set", "set session.store, or remove it: memory has no outage")
	}
	l.checkPaths(c)
	l.checkRoutes(c)
	l.checkStorage(&c.Storage)
	if c.SPA.ContentSecurityPolicy != "" && c.SPA.Dir == "" {
		l.fault("spa.content_security_policy", "is set, but spa.dir is not", "set spa.dir, or remove it")
	}
}

// required faults a key that nobody wrote.
func (l *loader) required(key, fix string) bool {
	if !l.has(key) {
		l.fault(key, "is missing", fix)
		return false
	}
	return l.fine(key)
}

// checkOrigins keeps session cookies off plain http (V12.2.1), except where the
// traffic never leaves the machine or the operator says so.
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
		if l.has(pair[0]) && !l.has(pair[1]) {
			l.fault(pair[0], "is set, but "+pair[1]+" is not", "set both or neither")
		}
	}
	if c.H2C && l.has("tls.cert_file") {
		l.fault("h2c", "is true beside tls.cert_file", "remove it: over TLS, HTTP/2 is always on")
	}
	if l.fine("listen", "admin.listen") && sameAddress(c.Listen, c.Admin.Listen) {
		l.fault(l.written("admin.listen", "listen"),
			fmt.Sprintf("makes listen (%s) and admin.listen (%s) take the same port", c.Listen, c.Admin.Listen), "write another port")
	}
}

// sameAddress reports whether two listeners would collide. Port 0 never does.
func sameAddress(a, b string) bool {
	hostA, portA, errA := net.SplitHostPort(a)
	hostB, portB, errB := net.SplitHostPort(b)
	if errA != nil || errB != nil || portA != portB || portA == "0" {
		return false
	}
	everywhere := []string{"", "0.0.0.0", "::"}
	return hostA == hostB || slices.Contains(everywhere, hostA) || slices.Contains(everywhere, hostB)
}

func (l *loader) checkProvider(p *Provider) {
	if p.Kind == "" {
		p.Kind = inferKind(p.Issuer)
	}
	l.required("provider.issuer", "write the issuer, such as https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI")
	l.required("provider.client_id", "write the app client's id")
	hasSecret := l.has("provider.client_secret") || l.has("provider.client_secret_file")
	switch {
	case !l.fine("provider.insecure_public_client"):
	case hasSecret && p.InsecurePublicClient:
		l.fault("provider.insecure_public_client", "is true beside a client secret", "remove one of the two")
	case !hasSecret && !p.InsecurePublicClient:
		l.fault("provider.client_secret", "is missing", "set it or provider.client_secret_file (or provider.insecure_public_client: true for a client without secret)")
	}
	if !l.fine("provider.scopes") {
		return
	}
	if !slices.Contains(p.Scopes, "openid") {
		l.fault("provider.scopes", "do not hold openid", "add openid: without it there is no ID token")
	}
	if p.Kind == KindCognito && slices.Contains(p.Scopes, "offline_access") {
		l.fault("provider.scopes", "hold offline_access, which Cognito does not have and refuses a login for", "remove it: Cognito always gives a refresh token")
	}
}

// inferKind knows both forms of Cognito's issuer (COG-DISC-02), China included.
func inferKind(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return KindOIDC
	}
	host := strings.ToLower(u.Hostname())
	host = strings.TrimPrefix(strings.TrimSuffix(host, ".cn"), "issuer-")
	region, ok := strings.CutPrefix(host, "cognito-idp.")
	region, amazon := strings.CutSuffix(region, ".amazonaws.com")
	if ok && amazon && regionPattern.MatchString(region) {
		return KindCognito
	}
	return KindOIDC
}

func (l *loader) checkSession(s *Session) {
	if !l.has("session.keys") && !l.has("session.keys_file") {
		l.fault("session.keys", "is missing", "set it or session.keys_file; "+keyFix)
	}
	if l.fine("session.idle_timeout", "session.absolute_lifetime") && s.IdleTimeout > s.AbsoluteLifetime {
		l.fault(l.written("session.idle_timeout", "session.absolute_lifetime"),
			fmt.Sprintf("makes the idle timeout (%s) longer than the absolute lifetime (%s)", showDuration(s.IdleTimeout), showDuration(s.AbsoluteLifetime)),
			"write an idle_timeout of at most absolute_lifetime")
	}
	if l.fine("session.refresh_before", "session.idle_timeout") && s.RefreshBefore >= s.IdleTimeout {
		l.fault(l.written("session.refresh_before", "session.idle_timeout"),
			fmt.Sprintf("makes refresh_before (%s) no shorter than the idle timeout (%s)", showDuration(s.RefreshBefore), showDuration(s.IdleTimeout)),
			"write a refresh_before well below idle_timeout")
	}
	if l.fine("session.claims") && len(s.Claims) == 0 {
		l.fault("session.claims", "is empty", "write at least sub")
	}
}

// written is the first key that the operator wrote, so that the fault points at
// a line and not at a default.
func (l *loader) written(keys ...string) string {
	for _, key := range keys {
		if l.has(key) {
			return key
		}
	}
	return keys[0]
}
