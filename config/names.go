package config

import (
	"mime"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var (
	segmentPattern = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)
	cookiePattern  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
	scopePattern   = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`)
	bucketPattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	regionPattern  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	methodPattern  = regexp.MustCompile(`^[A-Z]+(-[A-Z]+)*$`)
)

// plainSegments refuses whatever two parsers could read differently: dot
// segments, encoded characters, and the braces of http.ServeMux.
func plainSegments(s, path string) *wrong {
	for segment := range strings.SplitSeq(path, "/") {
		switch {
		case segment == "." || segment == "..":
			return &wrong{quote(s) + " has a dot segment", "write the path without . and .."}
		case segment == "":
			return &wrong{quote(s) + " has an empty segment", "write single slashes"}
		case !segmentPattern.MatchString(segment):
			return &wrong{quote(s) + " holds characters that a path here cannot", "write letters, digits and -._~ between the slashes"}
		}
	}
	return nil
}

// parsePrefix takes /auth: a path without a slash at its end.
func parsePrefix(s string) (string, *wrong) {
	switch {
	case !strings.HasPrefix(s, "/"):
		return "", &wrong{quote(s) + " does not begin with /", "write a path such as /auth"}
	case s == "/":
		return "", &wrong{quote(s) + " takes the whole site", "write a path such as /auth"}
	case strings.HasSuffix(s, "/"):
		return "", &wrong{quote(s) + " ends with /", "write " + strings.TrimRight(s, "/")}
	}
	return s, plainSegments(s, s[1:])
}

// parseRoutePath takes /api/: a path that begins and ends with a slash.
func parseRoutePath(s string) (string, *wrong) {
	switch {
	case !strings.HasPrefix(s, "/"):
		return "", &wrong{quote(s) + " does not begin with /", "write a path such as /api/"}
	case !strings.HasSuffix(s, "/"):
		return "", &wrong{quote(s) + " does not end with /", "write a path such as /api/"}
	case s == "/":
		return s, nil
	}
	return s, plainSegments(s, s[1:len(s)-1])
}

// parseAppPath takes a path of the app to send a browser to. Two slashes or a
// backslash at the beginning would be another host.
func parseAppPath(s string) (string, *wrong) {
	u, err := url.Parse(s)
	switch {
	case err != nil || !strings.HasPrefix(s, "/"):
		return "", &wrong{quote(s) + " is not a path", "write a path of your app, such as /signed-out"}
	case strings.HasPrefix(s, "//") || strings.ContainsAny(s, "\\ \t\r\n"):
		return "", &wrong{quote(s) + " could be read as another host", "write a path of your app, such as /signed-out"}
	case strings.ContainsAny(s, "?#") || u.Host != "":
		return "", &wrong{"has a query or fragment", "write the path alone"}
	case s == "/":
		return s, nil
	}
	return s, plainSegments(s, strings.TrimSuffix(s[1:], "/"))
}

// parseOptionalAppPath also takes an empty value for none.
func parseOptionalAppPath(s string) (string, *wrong) {
	if s == "" {
		return "", nil
	}
	return parseAppPath(s)
}

// maxSocketPath is Linux's limit in bytes for the path of a socket (unix(7)).
const maxSocketPath = 107

// parseUpstream takes the URL that a route forwards to.
func parseUpstream(s string) (*url.URL, *wrong) {
	if strings.HasPrefix(s, "unix:") {
		return parseSocket(s)
	}
	web, h2c := strings.CutPrefix(s, "h2c://")
	if h2c {
		web = "http://" + web
	}
	u, bad := parseURL(web)
	switch {
	case bad != nil:
		return nil, bad
	case u.RawQuery != "" || u.ForceQuery:
		return nil, &wrong{"has a query", "remove the ? and what follows it"}
	}
	if h2c {
		u.Scheme = "h2c"
	}
	if u.Path == "" || u.Path == "/" {
		return u, nil
	}
	path := strings.TrimSuffix(strings.TrimPrefix(u.EscapedPath(), "/"), "/")
	return u, plainSegments(s, path)
}

// parseSocket takes the path of a socket of this machine.
func parseSocket(s string) (*url.URL, *wrong) {
	path := strings.TrimPrefix(s, "unix://")
	if !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") || len(path) > maxSocketPath ||
		strings.ContainsAny(path, "?#%") || strings.ContainsFunc(path, unicode.IsControl) {
		return nil, &wrong{quote(s) + " does not name a socket", "write unix:// and an absolute path, such as unix:///run/api.sock"}
	}
	return &url.URL{Scheme: "unix", Path: path}, nil
}

// parseHost takes what a Host header can be.
func parseHost(s string) (string, *wrong) {
	u, bad := parseURL("http://" + s)
	if bad != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery {
		return "", &wrong{quote(s) + " is not a host", "write a name, and a port if the API expects one"}
	}
	return u.Host, nil
}

// parseMethod takes a method's name. TRACE echoes our headers back (V13.4.4),
// CONNECT opens a tunnel.
func parseMethod(s string) (string, *wrong) {
	switch upper := strings.ToUpper(s); {
	case upper == "TRACE" || upper == "CONNECT":
		return "", &wrong{quote(s) + " is never forwarded", "remove it"}
	case s != upper && methodPattern.MatchString(upper):
		return "", &wrong{quote(s) + " is not in capitals", "write " + upper}
	case !methodPattern.MatchString(s):
		return "", &wrong{quote(s) + " is not a method", "write methods such as GET or POST"}
	}
	return s, nil
}

// parseScope follows RFC 6749, section 3.3.
func parseScope(s string) (string, *wrong) {
	if !scopePattern.MatchString(s) {
		return "", &wrong{quote(s) + " is not a scope", "write one scope an item, such as email or orders/read"}
	}
	return s, nil
}

// parseCookieName takes a name that cannot be confused with the names of the
// other two cookies or with the number of a part (session.1).
func parseCookieName(s string) (string, *wrong) {
	switch {
	case strings.HasPrefix(s, "__"):
		return "", &wrong{quote(s) + " has a prefix", "write the part after __Host-Http- only"}
	case !cookiePattern.MatchString(s):
		return "", &wrong{quote(s) + " is not a cookie name that we take", "write 1 to 32 letters, digits, - or _"}
	case s == "active" || s == "login" || strings.HasPrefix(s, "login-") ||
		strings.HasSuffix(s, "-active") || strings.HasSuffix(s, "-login") || strings.Contains(s, "-login-"):
		return "", &wrong{quote(s) + " is kept for the other cookies", "write another name, such as session"}
	}
	return s, nil
}

// parseBucket follows S3's rules for general purpose buckets.
func parseBucket(s string) (string, *wrong) {
	_, notIP := netip.ParseAddr(s)
	switch {
	case s == "":
		return "", nil
	case !bucketPattern.MatchString(s) || strings.Contains(s, "..") || notIP == nil ||
		strings.HasPrefix(s, "xn--") || strings.HasSuffix(s, "-s3alias"):
		return "", &wrong{quote(s) + " is not a bucket name", "write 3 to 63 lower-case letters, digits, dots and dashes"}
	}
	return s, nil
}

func parseRegion(s string) (string, *wrong) {
	if !regionPattern.MatchString(s) {
		return "", &wrong{quote(s) + " is not a region", "write a region such as us-east-1"}
	}
	return s, nil
}

// parseFolder takes the pattern of a user's folder. {sub} must be a whole
// segment: in users-{sub}-x/ one user's folder could begin like another's.
func parseFolder(s string) (string, *wrong) {
	const example = "write a prefix such as users/{sub}/"
	segments := strings.Split(strings.TrimSuffix(s, "/"), "/")
	subs := 0
	for _, segment := range segments {
		if segment == "{sub}" {
			subs++
		}
	}
	switch {
	case strings.HasPrefix(s, "/"):
		return "", &wrong{quote(s) + " begins with /", example}
	case !strings.HasSuffix(s, "/"):
		return "", &wrong{quote(s) + " does not end with /", example}
	case subs != 1 || strings.Count(s, "{") != 1:
		return "", &wrong{quote(s) + " does not hold {sub} once, as a whole segment", example}
	case len(s) > 100:
		return "", &wrong{quote(s) + " is longer than 100 bytes", example}
	}
	if others := slices.DeleteFunc(segments, func(x string) bool { return x == "{sub}" }); len(others) > 0 {
		return s, plainSegments(s, strings.Join(others, "/"))
	}
	return s, nil
}

// parseContentType takes one type without parameters, or a whole top-level type
// as "image/*".
func parseContentType(s string) (string, *wrong) {
	name, params, err := mime.ParseMediaType(s)
	kind, sub, _ := strings.Cut(name, "/")
	switch {
	case err != nil || strings.Count(name, "/") != 1:
		return "", &wrong{quote(s) + " is not a content type", "write types such as image/png or image/*"}
	case len(params) > 0:
		return "", &wrong{quote(s) + " has parameters", "write " + name}
	case strings.Contains(kind, "*") || strings.Contains(sub, "*") && sub != "*":
		return "", &wrong{quote(s) + " has a star that stands for no whole subtype", "write image/png, or image/* for all images"}
	}
	return name, nil
}
