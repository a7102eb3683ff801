package config

import (
	"net/url"
	"regexp"
	"strings"
)

// parseIssuer accepts an issuer and returns it unchanged, because it must equal the
// claim iss of the provider's tokens (OpenID Connect Core 1.0, section 3.1.3.7).
func parseIssuer(s string) (string, *invalid) {
	u, bad := parseURL(s)
	switch {
	case bad != nil:
		return "", bad
	case u.RawQuery != "" || u.ForceQuery:
		return "", &invalid{"has a query", "remove the ? and everything after it"}
	}
	if bad := insecure(u); bad != nil {
		return "", bad
	}
	if issuer, _, found := strings.Cut(s, "/.well-known/"); found {
		return "", &invalid{quote(s) + " is the URL of a document of the issuer", "write " + issuer}
	}
	if domain, ok := parseHostedUI(u.Hostname()); ok {
		return "", &invalid{
			quote(s) + " is the domain of the hosted UI and not the issuer",
			"write https://cognito-idp." + domain.region + ".amazonaws.com" + domain.suffix + "/ and the id of the user pool",
		}
	}
	if host, ok := parsePoolHost(u.Hostname()); ok {
		return s, host.check(s, strings.TrimPrefix(u.Path, "/"))
	}
	return s, nil
}

// inferKind returns [KindCognito] for both forms of the issuer of a Cognito user
// pool, in all regions including China, else [KindOIDC].
func inferKind(issuer string) string {
	if u, err := url.Parse(issuer); err == nil {
		if _, ok := parsePoolHost(u.Hostname()); ok {
			return KindCognito
		}
	}
	return KindOIDC
}

// amazonHost matches the host of one of AWS's own services in a region, where no other
// provider can be.
var amazonHost = regexp.MustCompile(`^[a-z0-9-]+\.[a-z0-9-]+\.amazonaws\.com(\.cn)?$`)

// checkPoolHost refuses an issuer that is nearly one of Cognito. Taken for another
// provider, it would only fail at the first login.
func (l *loader) checkPoolHost(issuer string) {
	u, err := url.Parse(issuer)
	if err != nil || inferKind(issuer) == KindCognito || !l.valid("provider.kind") {
		return
	}
	name := strings.TrimPrefix(strings.ToLower(u.Hostname()), "issuer-")
	if strings.HasPrefix(name, "cognito-idp.") || amazonHost.MatchString(name) {
		l.fault("provider.issuer", quote(issuer)+" looks like a user pool and is not at a host of Cognito",
			"write the host as cognito-idp.us-east-1.amazonaws.com (.cn in China), or set provider.kind if this is another provider or a copy of Cognito")
	}
}

// awsHost is the host name of a service of AWS.
type awsHost struct {
	// name is the whole host name in lower case.
	name   string
	region string
	// suffix is ".cn" in China, else "".
	suffix string
	// updated marks the newer form of Cognito's issuer, issuer-cognito-idp.
	updated bool
}

// parsePoolHost takes the host name of a Cognito issuer apart.
func parsePoolHost(name string) (host awsHost, ok bool) {
	host.name = strings.ToLower(name)
	rest, china := strings.CutSuffix(host.name, ".cn")
	if china {
		host.suffix = ".cn"
	}
	rest, host.updated = strings.CutPrefix(rest, "issuer-")
	rest, ok = strings.CutPrefix(rest, "cognito-idp.")
	region, amazon := strings.CutSuffix(rest, ".amazonaws.com")
	host.region = region
	return host, ok && amazon && regionPattern.MatchString(region)
}

// parseHostedUI takes the host name of a hosted UI apart that has no domain of its
// own: prefix.auth.region.amazoncognito.com.
func parseHostedUI(name string) (host awsHost, ok bool) {
	host.name = strings.ToLower(name)
	rest, ok := strings.CutSuffix(host.name, ".amazoncognito.com")
	parts := strings.Split(rest, ".")
	if !ok || len(parts) < 2 {
		return host, false
	}
	host.region = parts[len(parts)-1]
	return host, regionPattern.MatchString(host.region)
}

// check checks the path of an issuer at this host, which is the id of a user pool:
// its region and a name. It is spelt in one way only, because the issuer is compared
// as it is. Only the original form of the issuer is always in the pool's own region:
// see IssuerConfigurationType in the Amazon Cognito API Reference.
func (h awsHost) check(issuer, pool string) *invalid {
	const example = "write the issuer as https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI"
	region, ok := poolRegion(strings.TrimRight(pool, "/"))
	spelling := "https://" + h.name + "/" + strings.TrimRight(pool, "/")
	switch {
	case !ok:
		return &invalid{quote(issuer) + " does not end with the id of a user pool", example}
	case issuer != spelling:
		return &invalid{quote(issuer) + " is not spelt as in Cognito's tokens", "write " + spelling}
	case region != h.region && !h.updated:
		return &invalid{
			quote(issuer) + " has a pool of the region " + region + " at the host of the region " + h.region,
			"write https://cognito-idp." + region + ".amazonaws.com" + h.suffix + "/" + pool + ", or the id of a pool in " + h.region,
		}
	}
	return nil
}

// poolRegion returns the region of a user pool's id.
func poolRegion(id string) (region string, ok bool) {
	region, name, ok := strings.Cut(id, "_")
	return region, ok && strings.Contains(region, "-") && regionPattern.MatchString(region) && segmentPattern.MatchString(name)
}

// checkIssuer checks what the other keys of the provider say about the issuer.
func (l *loader) checkIssuer(p *Provider) {
	issuer, err := url.Parse(p.Issuer)
	if err != nil || !l.valid("provider.issuer") {
		return
	}
	if _, isPool := poolRegion(p.ClientID); isPool {
		l.fault("provider.client_id", quote(p.ClientID)+" is the id of a user pool", "write the app client's id")
	}
	domain, err := url.Parse(p.Domain)
	if err != nil || p.Domain == "" {
		return
	}
	pool, isPool := parsePoolHost(issuer.Hostname())
	hosted, isHosted := parseHostedUI(domain.Hostname())
	_, isIssuer := parsePoolHost(domain.Hostname())
	switch {
	case isIssuer:
		l.fault("provider.domain", quote(p.Domain)+" is the host of the issuer and not the domain of the hosted UI", "write the domain of the user pool, or remove it")
	case p.Kind == KindOIDC && domain.Host == issuer.Host:
		l.fault("provider.issuer", quote(p.Issuer)+" is at the domain of the hosted UI (provider.domain)", "write the issuer, such as https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEfGhI")
	case p.Kind == KindOIDC:
		l.warn("provider.domain", "is set and has no effect, because the provider is not Cognito", "remove it, or set provider.kind: cognito")
	case isPool && isHosted && !pool.updated && pool.region != hosted.region:
		l.fault("provider.domain", quote(p.Domain)+" is in the region "+hosted.region+", and the user pool in "+pool.region, "write the domain of this user pool, or remove it")
	}
}
