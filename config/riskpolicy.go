package config

import (
	"slices"
	"strings"

	"cognito-token-handler/oauthproxy/spa"
)

// riskPolicy looks at the sources for scripts, and at who can frame the app (Content
// Security Policy Level 3, section 6). The first directive of a name counts.
func (l *loader) riskPolicy(c *Config) {
	const key = "spa.content_security_policy"
	extra := directivesOf(c.SPA.ExtraPolicy)
	l.riskSources(key+"_extra", extra)
	if c.SPA.ContentSecurityPolicy == "" {
		return
	}
	own := directivesOf(c.SPA.ContentSecurityPolicy)
	if _, ok := own["script-src"]; !ok {
		if own["script-src"], ok = own["default-src"]; !ok {
			l.warn(key, "does not limit scripts", "write default-src 'self' or script-src 'self'")
		}
	}
	l.riskSources(key, own)
	if own["frame-ancestors"] == nil && extra["frame-ancestors"] == nil {
		l.warn(key, "lets every site frame the app", "add frame-ancestors 'none'")
	}
}

// riskSources looks at the sources that a key allows. Each source is named once, whichever
// of the directives for scripts have it. Only script-src is about eval, and attributes have
// no URL.
func (l *loader) riskSources(key string, directives map[string][]string) {
	elements, attributes := directives["script-src-elem"], directives["script-src-attr"]
	scripts := directives["script-src"]
	for _, source := range []string{"'unsafe-inline'", "'unsafe-eval'", "data:", "http:", "https:", "*"} {
		found := slices.Contains(scripts, source) || source != "'unsafe-eval'" && slices.Contains(elements, source)
		if source == "'unsafe-inline'" {
			found = slices.ContainsFunc([][]string{scripts, elements, attributes}, allowsInline)
		}
		if found {
			l.warn(key, "allows "+source+" for scripts, so an injected script runs with the user's session", "remove it: bundlers can build the app without it")
		}
	}
	if slices.ContainsFunc(slices.Concat(scripts, elements), isFixedNonce) {
		l.warn(key, "has a nonce that is the same in every response, so an injected script can have it", "write 'nonce-"+spa.Placeholder+"', which is replaced by a new one each time")
	}
	for _, source := range []string{"http:", "https:", "*"} {
		if slices.Contains(directives["frame-ancestors"], source) {
			l.warn(key, "allows "+source+" in frame-ancestors, so any such site can frame the app", "name the sites that may")
		}
	}
}

// allowsInline reports whether a list of sources allows scripts that stand in the page:
// browsers ignore 'unsafe-inline' beside a nonce or a hash.
func allowsInline(sources []string) bool {
	return slices.Contains(sources, "'unsafe-inline'") && !slices.ContainsFunc(sources, func(s string) bool {
		return strings.HasPrefix(s, "'nonce-") || strings.HasPrefix(s, "'sha")
	})
}

func isFixedNonce(source string) bool {
	return strings.HasPrefix(source, "'nonce-") && !strings.Contains(source, strings.ToLower(spa.Placeholder))
}

// directivesOf returns the sources of the directives of a policy, in lower case. A directive
// without a source has an empty list.
func directivesOf(policy string) map[string][]string {
	directives := map[string][]string{}
	for directive := range strings.SplitSeq(strings.ToLower(policy), ";") {
		fields := strings.Fields(directive)
		if len(fields) == 0 {
			continue
		}
		if _, again := directives[fields[0]]; !again {
			directives[fields[0]] = fields[1:]
		}
	}
	return directives
}
