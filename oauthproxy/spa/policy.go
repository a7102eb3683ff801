package spa

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Placeholder is the word in an HTML file that is replaced by a random value, which is
// another one in every response and stands in the policy for style elements, too
// (Content Security Policy Level 3, section 7.1). So libraries that make style elements
// while the app runs, such as Emotion and styled-components, need no 'unsafe-inline'.
const Placeholder = "__CSP_NONCE__"

// anyNonce is the source that allows what has the nonce of the response.
const anyNonce = "'nonce-" + Placeholder + "'"

// policy is a Content-Security-Policy, in the order of its directives.
type policy []directive

// directive is a directive of a policy with its sources.
type directive struct {
	name    string
	sources []string
}

// DefaultPolicy returns the Content-Security-Policy for an app that loads and calls
// only its own origin and the bucket at storageOrigin, which may be empty. Forms may be
// sent to the app's origin only: a logout by form is not answered by a redirect to the
// provider, to which form-action would apply as well (CSP Level 3 §6.4.1; ASVS V3.4.3).
func DefaultPolicy(storageOrigin string) string { return defaultPolicy(storageOrigin).String() }

func defaultPolicy(storageOrigin string) policy {
	storage := source(storageOrigin)
	return policy{
		{"default-src", []string{"'none'"}},
		{"script-src", []string{"'self'"}},
		{"style-src", []string{"'self'"}},
		{"font-src", []string{"'self'"}},
		{"manifest-src", []string{"'self'"}},
		{"worker-src", []string{"'self'"}},
		{"img-src", append([]string{"'self'", "data:", "blob:"}, storage...)},
		{"media-src", append([]string{"'self'", "blob:"}, storage...)},
		{"connect-src", append([]string{"'self'"}, storage...)},
		{"base-uri", []string{"'none'"}},
		{"form-action", []string{"'self'"}},
		{"frame-ancestors", []string{"'none'"}},
	}
}

// source returns origin as a source. It leaves out an origin that would end the list and
// begin another directive: a host may contain these characters (RFC 3986 §3.2.2).
func source(origin string) []string {
	if origin == "" || strings.ContainsAny(origin, " ;,'*\t\r\n") {
		return nil
	}
	return []string{origin}
}

// String returns the header's value.
func (p policy) String() string {
	parts := make([]string, len(p))
	for i, d := range p {
		parts[i] = strings.Join(append([]string{d.name}, d.sources...), " ")
	}
	return strings.Join(parts, "; ")
}

// with returns p with further sources of a directive. They replace 'none'. A directive
// that p does not have begins with the sources of the one that has stood in for it, so that
// nothing that p allows is lost.
func (p policy) with(name string, sources []string) policy {
	if len(sources) == 0 {
		return p
	}
	extended := slices.Clone(p)
	if i := p.index(name); i >= 0 {
		extended[i].sources = union(p[i].sources, sources)
		return extended
	}
	if name == "child-src" && p.index("worker-src") < 0 && p.index("script-src") >= 0 {
		// A new child-src would stand in for worker-src in the place of script-src.
		extended = extended.with("worker-src", sources)
	}
	inherited := p.effective(name)
	if strings.HasSuffix(name, "-attr") { // attributes have no URL
		inherited = slices.DeleteFunc(slices.Clone(inherited), func(s string) bool { return s == "'self'" || !strings.HasPrefix(s, "'") })
	}
	return append(extended, directive{name, union(inherited, sources)})
}

// replace returns p with other sources of a directive that it has.
func (p policy) replace(name string, sources []string) policy {
	replaced := slices.Clone(p)
	if i := p.index(name); i >= 0 {
		replaced[i].sources = sources
	}
	return replaced
}

// withInline is like with, for hashes and nonces. It adds none where p allows everything
// inline, because browsers ignore 'unsafe-inline' beside them.
func (p policy) withInline(name string, sources []string) policy {
	if allowsInline(p.effective(name)) {
		return p
	}
	return p.with(name, sources)
}

// allowsInline reports whether a list of sources allows everything inline (CSP Level 3
// §6.7.3.2).
func allowsInline(sources []string) bool {
	found := false
	for _, source := range sources {
		switch source = strings.ToLower(source); {
		case source == "'unsafe-inline'":
			found = true
		case source == "'strict-dynamic'", strings.HasPrefix(source, "'nonce-"), strings.HasPrefix(source, "'sha"):
			return false
		}
	}
	return found
}

// index returns the index of a directive, or -1.
func (p policy) index(name string) int {
	return slices.IndexFunc(p, func(d directive) bool { return d.name == name })
}

// effective returns the sources that apply where a directive would: its own, or those of
// the first fallback that p has.
func (p policy) effective(name string) []string {
	for _, candidate := range append([]string{name}, fallbacks(name)...) {
		if i := p.index(candidate); i >= 0 {
			return p[i].sources
		}
	}
	return nil
}

// element returns the directive for elements: kind itself, unless p has one for them alone.
func (p policy) element(kind string) string {
	if p.index(kind+"-elem") >= 0 {
		return kind + "-elem"
	}
	return kind
}

// fallbacks returns the directives that stand in for one that is missing, the first one
// first (CSP Level 3 §6.8.3).
func fallbacks(name string) []string {
	switch name {
	case "base-uri", "form-action", "frame-ancestors":
		return nil
	case "script-src-elem", "script-src-attr":
		return []string{"script-src", "default-src"}
	case "style-src-elem", "style-src-attr":
		return []string{"style-src", "default-src"}
	case "worker-src":
		return []string{"child-src", "script-src", "default-src"}
	case "frame-src":
		return []string{"child-src", "default-src"}
	}
	return []string{"default-src"}
}

// union returns the sources of both lists without 'none', each of them once.
func union(lists ...[]string) (all []string) {
	for _, source := range slices.Concat(lists...) {
		if !strings.EqualFold(source, none) && !slices.Contains(all, source) {
			all = append(all, source)
		}
	}
	return all
}

// parsePolicy parses a policy as browsers do: of two directives with the same name, the
// first one counts (Content Security Policy Level 3, section 2.2.1).
func parsePolicy(text string) (p policy) {
	for part := range strings.SplitSeq(text, ";") {
		if fields := strings.Fields(part); len(fields) > 0 {
			p = append(p, directive{strings.ToLower(fields[0]), fields[1:]})
		}
	}
	return p
}

// parseExtra parses further sources, written as a policy. The error names the fault.
func parseExtra(text string) (policy, error) {
	var extra policy
	for _, d := range parsePolicy(text) {
		switch {
		case !extensible[d.name]:
			return nil, errDirective // it is not quoted: what stands in its place may be a secret
		case slices.ContainsFunc(extra, func(other directive) bool { return other.name == d.name }):
			return nil, fmt.Errorf("has %s twice", d.name)
		case len(d.sources) == 0:
			return nil, fmt.Errorf("has %s without a source", d.name)
		}
		for _, source := range d.sources {
			if err := checkSource(source); err != nil {
				return nil, fmt.Errorf("has in %s %w", d.name, err)
			}
		}
		extra = append(extra, d)
	}
	if len(extra) == 0 {
		return nil, errNoSources
	}
	// A directive is extended before those for which it stands in.
	slices.SortStableFunc(extra, func(a, b directive) int { return len(fallbacks(a.name)) - len(fallbacks(b.name)) })
	return extra, nil
}

// checkSource returns an error if a source cannot be added. A nonce must be another one in
// every response, or whoever has seen it once can use it (CSP Level 3 §7.1).
func checkSource(source string) error {
	switch {
	case source == anyNonce:
		return nil
	case strings.HasPrefix(strings.ToLower(source), "'nonce-"):
		return errFixedNonce
	case strings.EqualFold(source, none) || strings.Contains(source, Placeholder) || !sourcePattern.MatchString(source):
		return errSource
	}
	return nil
}

// none is the source that matches nothing, and only alone.
const none = "'none'"

var (
	errNoSources  = errors.New("adds nothing")
	errDirective  = errors.New("has a directive that takes no sources, or to which none can be added")
	errSource     = errors.New("what is no source that can be added")
	errFixedNonce = errors.New("a nonce that is the same in every response, and not " + anyNonce)
)

// sourcePattern matches a source expression (Content Security Policy Level 3, section
// 2.3.1): a keyword, a nonce or a hash in quotes, a scheme, or a host.
var sourcePattern = regexp.MustCompile(`^('[A-Za-z0-9+/=_-]+'|[!#$%&()*+\-./0-9:=?@A-Z\[\]_a-z~]+)$`)

// extensible are the directives whose value is a list of sources.
//
//nolint:gochecknoglobals // a constant set
var extensible = map[string]bool{
	"child-src": true, "connect-src": true, "font-src": true, "form-action": true, "frame-ancestors": true, "frame-src": true, "img-src": true,
	"manifest-src": true, "media-src": true, "object-src": true, "script-src": true, "script-src-attr": true, "script-src-elem": true,
	"style-src": true, "style-src-attr": true, "style-src-elem": true, "worker-src": true,
}

// CheckExtra returns an error if Config.ExtraPolicy cannot be text.
func CheckExtra(text string) error {
	_, err := parseExtra(text)
	return err
}
