package config

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"unicode"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/tokenhandler/web"
)

var (
	segmentPattern = regexp.MustCompile(`^[A-Za-z0-9._~-]+$`)
	accountPattern = regexp.MustCompile(`^[0-9]{12}$`)
	cookiePattern  = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)
	scopePattern   = regexp.MustCompile(`^[\x21\x23-\x5b\x5d-\x7e]+$`)
	bucketPattern  = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)
	rolePattern    = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}$`)
	regionPattern  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	methodPattern  = regexp.MustCompile(`^[A-Z]+(-[A-Z]+)*$`)

	identityPoolPattern = regexp.MustCompile(`^[a-z]+(-[a-z]+)+-[0-9]+:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)
)

// plainSegments refuses paths that two parsers could read differently: dot segments,
// empty segments, encoded characters, and the braces of http.ServeMux. s is quoted
// in faults.
func plainSegments(s, path string) *invalid {
	if err := web.CheckSegments(path); err != nil {
		return &invalid{quote(s) + " " + err.Error(), "write single slashes, and no . or .. between them"}
	}
	for segment := range strings.SplitSeq(path, "/") {
		if !segmentPattern.MatchString(segment) {
			return &invalid{quote(s) + " contains characters that are not allowed in a path", "write letters, digits and -._~ between the slashes"}
		}
	}
	return nil
}

// parsePrefix accepts a path such as /auth, without a slash at the end.
func parsePrefix(s string) (string, *invalid) {
	switch {
	case !strings.HasPrefix(s, "/"):
		return "", &invalid{quote(s) + " does not start with /", "write a path such as /auth"}
	case s == "/":
		return "", &invalid{quote(s) + " is the whole site", "write a path such as /auth"}
	case strings.HasSuffix(s, "/"):
		return "", &invalid{quote(s) + " ends with /", "write " + strings.TrimRight(s, "/")}
	}
	return s, plainSegments(s, s[1:])
}

// parseRoutePath accepts a path such as /api/, with a slash at both ends.
func parseRoutePath(s string) (string, *invalid) {
	switch {
	case !strings.HasPrefix(s, "/"):
		return "", &invalid{quote(s) + " does not start with /", "write a path such as /api/"}
	case !strings.HasSuffix(s, "/"):
		return "", &invalid{quote(s) + " does not end with /", "write a path such as /api/"}
	case s == "/":
		return s, nil
	}
	return s, plainSegments(s, s[1:len(s)-1])
}

// parseAppPath accepts a path of the app to which browsers are redirected. It refuses
// what a browser would read as the URL of another host: two slashes or a backslash
// at the start.
func parseAppPath(s string) (string, *invalid) {
	u, err := url.Parse(s)
	switch {
	case err != nil || !strings.HasPrefix(s, "/"):
		return "", &invalid{quote(s) + " is not a path", "write a path of your app, such as /signed-out"}
	case strings.HasPrefix(s, "//") || strings.ContainsAny(s, "\\ \t\r\n"):
		return "", &invalid{quote(s) + " could be read as another host", "write a path of your app, such as /signed-out"}
	case strings.ContainsAny(s, "?#") || u.Host != "":
		return "", &invalid{"has a query or fragment", "write the path alone"}
	case s == "/":
		return s, nil
	}
	return s, plainSegments(s, strings.TrimSuffix(s[1:], "/"))
}

// parseOptionalAppPath accepts what parseAppPath does, and an empty value.
func parseOptionalAppPath(s string) (string, *invalid) {
	if s == "" {
		return "", nil
	}
	return parseAppPath(s)
}

// maxSocketPath is the longest path of a Unix socket in bytes, see unix(7).
const maxSocketPath = 107

// parseUpstream accepts the URL that a route forwards to.
func parseUpstream(s string) (*url.URL, *invalid) {
	if strings.HasPrefix(s, "unix:") {
		return parseSocket(s)
	}
	address, h2c := strings.CutPrefix(s, "h2c://")
	if h2c {
		address = "http://" + address
	}
	u, bad := parseURL(address)
	switch {
	case bad != nil:
		return nil, bad
	case u.RawQuery != "" || u.ForceQuery:
		return nil, &invalid{"has a query", "remove the ? and everything after it"}
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

// parseSocket accepts unix:// and the absolute path of a socket.
func parseSocket(s string) (*url.URL, *invalid) {
	path := strings.TrimPrefix(s, "unix://")
	if !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") || len(path) > maxSocketPath ||
		strings.ContainsAny(path, "?#%") || strings.ContainsFunc(path, unicode.IsControl) {
		return nil, &invalid{quote(s) + " is not the URL of a Unix socket", "write unix:// and an absolute path, such as unix:///run/api.sock"}
	}
	return &url.URL{Scheme: "unix", Path: path}, nil
}

// parseHost accepts the value of a Host header.
func parseHost(s string) (string, *invalid) {
	u, bad := parseURL("http://" + s)
	if bad != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery {
		return "", &invalid{quote(s) + " is not a host", "write a name, and a port if the API expects one"}
	}
	return u.Host, nil
}

// parseHostName accepts a host name without a port, and returns it in lower case and
// without a dot at the end.
func parseHostName(s string) (string, *invalid) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if !hostPattern.MatchString(name) {
		return "", &invalid{quote(s) + " is not a host name", "write a name such as admin.example.com, without scheme and port"}
	}
	return name, nil
}

// parseMethod accepts the name of a method. TRACE and TRACK are refused because their response
// repeats the headers of the request, with the token (OWASP ASVS 5.0, V13.4.4), and
// CONNECT because it opens a tunnel.
func parseMethod(s string) (string, *invalid) {
	switch upper := strings.ToUpper(s); {
	case upper == "TRACE" || upper == "TRACK" || upper == "CONNECT":
		return "", &invalid{quote(s) + " is never forwarded", "remove it"}
	case s != upper && methodPattern.MatchString(upper):
		return "", &invalid{quote(s) + " is not in capitals", "write " + upper}
	case !methodPattern.MatchString(s):
		return "", &invalid{quote(s) + " is not a method", "write methods such as GET or POST"}
	}
	return s, nil
}

// parseScope accepts a scope as RFC 6749, section 3.3 defines it.
func parseScope(s string) (string, *invalid) {
	if !scopePattern.MatchString(s) {
		return "", &invalid{quote(s) + " is not a scope", "write one scope per item, such as email or orders/read"}
	}
	return s, nil
}

// parseCookieName accepts a name for the session cookie. It refuses names that could
// equal the name of one of the other cookies, or of a part of a split cookie such
// as session.1.
func parseCookieName(s string) (string, *invalid) {
	switch {
	case strings.HasPrefix(s, "__"):
		return "", &invalid{quote(s) + " has a prefix", "leave it out: the service adds __Host-Http-"}
	case !cookiePattern.MatchString(s):
		return "", &invalid{quote(s) + " is not a valid cookie name", "write 1 to 32 letters, digits, - or _"}
	case s == "active" || s == "began" || s == "login" || strings.HasPrefix(s, "login-") ||
		strings.HasSuffix(s, "-active") || strings.HasSuffix(s, "-began") || strings.HasSuffix(s, "-login") || strings.Contains(s, "-login-"):
		return "", &invalid{quote(s) + " is reserved for the other cookies", "write another name, such as session"}
	}
	return s, nil
}

// parseBucket accepts a name by the rules of S3 for general purpose buckets, or an
// empty value.
func parseBucket(s string) (string, *invalid) {
	_, notIP := netip.ParseAddr(s)
	switch {
	case s == "":
		return "", nil
	case !bucketPattern.MatchString(s) || strings.Contains(s, "..") || notIP == nil ||
		strings.HasPrefix(s, "xn--") || strings.HasSuffix(s, "-s3alias"):
		return "", &invalid{quote(s) + " is not a bucket name", "write 3 to 63 lower-case letters, digits, dots and dashes"}
	}
	return s, nil
}

func parseRegion(s string) (string, *invalid) {
	if !regionPattern.MatchString(s) {
		return "", &invalid{quote(s) + " is not a region", "write a region such as us-east-1"}
	}
	return s, nil
}

// parseAccount accepts the id of an AWS account.
func parseAccount(s string) (string, *invalid) {
	if !accountPattern.MatchString(s) {
		return "", &invalid{quote(s) + " is not the id of an AWS account", "write its 12 digits, in quotes if it begins with 0"}
	}
	return s, nil
}

// parseRoleARN accepts the ARN of an IAM role (IAM User Guide, "IAM identifiers").
func parseRoleARN(s string) (string, *invalid) {
	if !rolePattern.MatchString(s) {
		return "", &invalid{quote(s) + " is not the ARN of a role", "write an ARN such as arn:aws:iam::123456789012:role/my-app-user-files"}
	}
	return s, nil
}

// parseIdentityPool accepts the id of a Cognito identity pool.
func parseIdentityPool(s string) (string, *invalid) {
	if !identityPoolPattern.MatchString(s) {
		return "", &invalid{quote(s) + " is not the id of an identity pool", "write an id such as us-east-1:12345678-90ab-cdef-1234-567890abcdef"}
	}
	return s, nil
}

// parseFolder accepts the pattern of a user's folder that storage accepts.
func parseFolder(s string) (string, *invalid) {
	if err := storage.CheckPrefix(s); err != nil {
		return "", &invalid{quote(s) + " " + err.Error(), "write a prefix such as users/{sub}/"}
	}
	return s, nil
}

// parseContentType accepts an allowed content type that storage accepts.
func parseContentType(s string) (string, *invalid) {
	name, err := storage.ParseContentType(s)
	if err != nil {
		return "", &invalid{quote(s) + " " + err.Error(), "write types such as image/png, or image/* for all images"}
	}
	return name, nil
}
