package web_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/tokenhandler/web"
)

var (
	everyMethod = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
	readMethods = []string{"GET", "HEAD"}
)

// TestGuard has a case for each of Guard's three rules, whose number is at the start of its
// name. A method that is not listed must be refused.
func TestGuard(t *testing.T) {
	const (
		site   = "Sec-Fetch-Site"
		origin = "Origin"
		csrf   = "X-Csrf"
	)
	for name, c := range map[string]struct {
		header http.Header
		passes []string
	}{
		"1 same-origin":                      {http.Header{site: {"same-origin"}}, everyMethod},
		"1 same-origin with Origin":          {http.Header{site: {"same-origin"}, origin: {publicOrigin}}, everyMethod},
		"1 typed":                            {http.Header{site: {"none"}}, readMethods},
		"1 typed, X-CSRF does not help":      {http.Header{site: {"none"}, csrf: {"1"}}, readMethods},
		"1 same-site":                        {http.Header{site: {"same-site"}}, nil}, // a taken-over subdomain
		"1 same-site, own Origin":            {http.Header{site: {"same-site"}, origin: {publicOrigin}}, nil},
		"1 same-site, allowed":               {http.Header{site: {"same-site"}, origin: {allowedOrigin}}, everyMethod},
		"1 same-site, other":                 {http.Header{site: {"same-site"}, origin: {"https://evil.example.com"}}, nil},
		"1 cross-site":                       {http.Header{site: {"cross-site"}}, nil}, // <img> on another site
		"1 cross-site, allowed":              {http.Header{site: {"cross-site"}, origin: {allowedOrigin}}, everyMethod},
		"1 cross-site, X-CSRF does not help": {http.Header{site: {"cross-site"}, csrf: {"1"}}, nil},
		"1 cross-site, null":                 {http.Header{site: {"cross-site"}, origin: {"null"}}, nil},
		"1 cross-site, own Origin":           {http.Header{site: {"cross-site"}, origin: {publicOrigin}}, nil},
		"1 unknown word":                     {http.Header{site: {"same-planet"}, csrf: {"1"}}, nil},
		"1 another case":                     {http.Header{site: {"Same-Origin"}}, nil},
		"1 empty":                            {http.Header{site: {""}, csrf: {"1"}}, nil},
		"1 list":                             {http.Header{site: {"same-origin, cross-site"}}, nil},
		"1 twice":                            {http.Header{site: {"same-origin", "cross-site"}}, nil},
		"1 twice the same":                   {http.Header{site: {"same-origin", "same-origin"}}, nil},
		"1 twice, X-CSRF does not help":      {http.Header{site: {"same-origin", "same-origin"}, csrf: {"1"}}, nil},
		"2 twice, X-CSRF does not help":      {http.Header{origin: {publicOrigin, publicOrigin}, csrf: {"1"}}, nil},
		"1 Origin twice":                     {http.Header{site: {"same-origin"}, origin: {publicOrigin, publicOrigin}}, nil},
		"1 allowed Origin first of two":      {http.Header{site: {"cross-site"}, origin: {allowedOrigin, "https://evil.example"}}, nil},

		"2 public":                      {http.Header{origin: {publicOrigin}}, everyMethod},
		"2 allowed":                     {http.Header{origin: {allowedOrigin}}, everyMethod},
		"2 null":                        {http.Header{origin: {"null"}}, nil},
		"2 null, X-CSRF does not help":  {http.Header{origin: {"null"}, csrf: {"1"}}, nil},
		"2 empty":                       {http.Header{origin: {""}, csrf: {"1"}}, nil},
		"2 other":                       {http.Header{origin: {"https://evil.example"}, csrf: {"1"}}, nil},
		"2 other scheme":                {http.Header{origin: {"http://app.example.com"}}, nil},
		"2 other port":                  {http.Header{origin: {"https://app.example.com:444"}}, nil},
		"2 default port":                {http.Header{origin: {"https://app.example.com:443"}}, nil}, // no browser writes it
		"2 allowed, other port":         {http.Header{origin: {"https://admin.example.com"}}, nil},
		"2 capitals":                    {http.Header{origin: {"https://App.Example.com"}}, nil}, // no browser writes it
		"2 trailing dot":                {http.Header{origin: {"https://app.example.com."}}, nil},
		"2 trailing slash":              {http.Header{origin: {publicOrigin + "/"}}, nil},
		"2 begins so":                   {http.Header{origin: {publicOrigin + ".evil.example"}}, nil},
		"2 host with the same suffix":   {http.Header{origin: {"https://evil-app.example.com"}}, nil},
		"2 subdomain":                   {http.Header{origin: {"https://x.app.example.com"}}, nil},
		"2 user information":            {http.Header{origin: {"https://app.example.com@evil.example"}}, nil},
		"2 list":                        {http.Header{origin: {publicOrigin + " https://evil.example"}}, nil},
		"2 twice":                       {http.Header{origin: {publicOrigin, "https://evil.example"}}, nil},
		"2 twice, other first":          {http.Header{origin: {"https://evil.example", publicOrigin}}, nil},
		"2 twice the same":              {http.Header{origin: {publicOrigin, publicOrigin}}, nil},
		"2 a wildcard is no origin":     {http.Header{origin: {"*"}}, nil},
		"2 Referer is not looked at":    {http.Header{origin: {"null"}, "Referer": {publicOrigin + "/"}}, nil},
		"3 X-CSRF":                      {http.Header{csrf: {"1"}}, everyMethod},
		"3 nothing":                     {http.Header{}, nil},
		"3 X-CSRF with another value":   {http.Header{csrf: {"0"}}, nil},
		"3 X-CSRF empty":                {http.Header{csrf: {""}}, nil},
		"3 X-CSRF true":                 {http.Header{csrf: {"true"}}, nil},
		"3 Referer":                     {http.Header{"Referer": {publicOrigin + "/"}}, readMethods},
		"3 Referer with a path":         {http.Header{"Referer": {publicOrigin + "/orders?q=https://evil.example/#x"}}, readMethods},
		"3 Referer, allowed":            {http.Header{"Referer": {allowedOrigin + "/"}}, readMethods},
		"3 Referer of another":          {http.Header{"Referer": {"https://evil.example/"}}, nil},
		"3 Referer in the path":         {http.Header{"Referer": {"https://evil.example/" + publicOrigin + "/"}}, nil},
		"3 Referer begins so":           {http.Header{"Referer": {publicOrigin + ".evil.example/"}}, nil},
		"3 Referer, user information":   {http.Header{"Referer": {publicOrigin + "@evil.example/"}}, nil},
		"3 Referer, other port":         {http.Header{"Referer": {publicOrigin + ":444/"}}, nil},
		"3 Referer, other scheme":       {http.Header{"Referer": {"http://app.example.com/"}}, nil},
		"3 Referer, no path":            {http.Header{"Referer": {publicOrigin}}, nil}, // no browser writes it
		"3 Referer, query for path":     {http.Header{"Referer": {publicOrigin + "?/"}}, nil},
		"3 Referer, backslash":          {http.Header{"Referer": {publicOrigin + `\@evil.example/`}}, nil},
		"3 Referer, empty":              {http.Header{"Referer": {""}}, nil},
		"3 Referer, relative":           {http.Header{"Referer": {"/"}}, nil},
		"3 Referer twice":               {http.Header{"Referer": {publicOrigin + "/", "https://evil.example/"}}, nil},
		"3 Referer twice the same":      {http.Header{"Referer": {publicOrigin + "/", publicOrigin + "/"}}, nil},
		"3 Referer, X-CSRF beside":      {http.Header{"Referer": {"https://evil.example/"}, csrf: {"1"}}, everyMethod},
		"1 Referer does not help":       {http.Header{site: {"cross-site"}, "Referer": {publicOrigin + "/"}}, nil},
		"3 Host is not looked at":       {http.Header{"X-Forwarded-Host": {"app.example.com"}}, nil},
		"3 mode and destination alone":  {http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}}, nil},
		"3 XMLHttpRequest is no X-CSRF": {http.Header{"X-Requested-With": {"XMLHttpRequest"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			rejected := 0
			cfg := siteConfig(t, t.Output())
			cfg.Rejected = func() { rejected++ }
			guarded := web.NewSite(cfg).Guard(ok)
			refusals := 0
			for _, method := range everyMethod {
				rec := serve(guarded, request(t, method, "/api/x", c.header.Clone()))
				passed := rec.Code == http.StatusOK && rec.Body.String() == "reached"
				if want := strings.Contains(strings.Join(c.passes, " "), method); passed != want {
					t.Errorf("%s passed: %v, want %v", method, passed, want)
				}
				if !passed {
					refusals++
					checkCrossSite(t, method, rec.Code, rec.Body.String())
				}
			}
			if rejected != refusals {
				t.Errorf("%d refusals counted, want %d", rejected, refusals)
			}
		})
	}
}

func checkCrossSite(t *testing.T, method string, status int, text string) {
	t.Helper()
	want := `{"type":"about:blank","title":"Forbidden","status":403,"code":"cross_site_request",` +
		`"detail":"the request came from another origin; call from https://app.example.com, or send X-CSRF: 1 from a client that is no browser"}`
	if method == http.MethodHead {
		want = ""
	}
	if status != http.StatusForbidden || text != want {
		t.Errorf("%s answered %d %s", method, status, text)
	}
}

// cors returns the CORS headers.
func cors(h http.Header) http.Header {
	picked := http.Header{}
	for name, values := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			picked[name] = values
		}
	}
	return picked
}

func TestGuardCORS(t *testing.T) {
	s := newSite(t)
	granted := http.Header{
		"Access-Control-Allow-Origin":      {allowedOrigin},
		"Access-Control-Allow-Credentials": {"true"},
		"Access-Control-Expose-Headers":    {"Retry-After, X-Request-Id, ETag, Proxy-Status"},
	}
	failing := s.Handle(func(http.ResponseWriter, *http.Request) error { return web.NewProblem(web.CodeSessionExpired, "", nil) })
	for name, c := range map[string]struct {
		next   http.Handler
		header http.Header
		status int
		want   http.Header
	}{
		"allowed":               {ok, http.Header{"Origin": {allowedOrigin}, "Sec-Fetch-Site": {"same-site"}}, 200, granted},
		"allowed, on an error":  {failing, http.Header{"Origin": {allowedOrigin}, "Sec-Fetch-Site": {"same-site"}}, 401, granted},
		"allowed, on a 404":     {s.NotFound(), http.Header{"Origin": {allowedOrigin}}, 404, granted},
		"own origin needs none": {ok, http.Header{"Origin": {publicOrigin}, "Sec-Fetch-Site": {"same-origin"}}, 200, http.Header{}},
		"no origin":             {ok, http.Header{"X-Csrf": {"1"}}, 200, http.Header{}},
		"other":                 {ok, http.Header{"Origin": {"https://evil.example"}, "Sec-Fetch-Site": {"cross-site"}}, 403, http.Header{}},
		"null":                  {ok, http.Header{"Origin": {"null"}}, 403, http.Header{}},
	} {
		t.Run(name, func(t *testing.T) {
			rec := serve(s.Guard(c.next), request(t, "GET", "/api/x", c.header))
			if rec.Code != c.status {
				t.Errorf("answered %d, want %d", rec.Code, c.status)
			}
			if diff := cmp.Diff(c.want, cors(rec.Header())); diff != "" {
				t.Error(diff)
			}
			// Without Vary a cache would serve the response for one origin to another.
			wantVary(t, rec.Header(), "Origin", "Sec-Fetch-Site")
		})
	}
}

// A page of an allowed origin can read a problem of a path that checks no origin, and a GET that
// looks like a preflight is none.
func TestCORSOfOtherAnswers(t *testing.T) {
	s := newSite(t)
	header := http.Header{"Origin": {allowedOrigin}, "Access-Control-Request-Method": {"GET"}}
	if got := serve(s.NotFound(), request(t, "GET", "/", header)).Header().Get("Access-Control-Allow-Origin"); got != allowedOrigin {
		t.Errorf("Access-Control-Allow-Origin of a problem: %q", got)
	}
	if rec := serve(s.CORS(ok), request(t, "GET", "/", header)); rec.Body.String() != "reached" {
		t.Errorf("a GET: %d %s", rec.Code, rec.Body)
	}
	if rec := serve(s.CORS(ok), request(t, "OPTIONS", "/", http.Header{"Origin": {allowedOrigin}})); rec.Body.String() != "reached" {
		t.Errorf("an OPTIONS that is no preflight: %d %s", rec.Code, rec.Body)
	}
}

// Other checks may not replace an Origin, such as those of WebSockets: there must be one, and one only.
func TestNamesOurOrigin(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct {
		origins []string
		want    bool
	}{
		{nil, false},
		{[]string{publicOrigin}, true},
		{[]string{allowedOrigin}, true},
		{[]string{"https://evil.example"}, false},
		{[]string{publicOrigin, publicOrigin}, false},
		{[]string{publicOrigin, "https://evil.example"}, false},
	} {
		if got := s.NamesOurOrigin(request(t, "GET", "/", http.Header{"Origin": c.origins})); got != c.want {
			t.Errorf("%q: %v", c.origins, got)
		}
	}
}

// A handler's own Vary stays, and ours is added once.
func TestVaryIsAddedOnce(t *testing.T) {
	s := newSite(t)
	for _, before := range [][]string{nil, {"Accept-Encoding"}} {
		rec := serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Vary"] = slices.Clone(before)
			s.Instrument(s.CORS(s.Guard(ok))).ServeHTTP(w, r)
		}), request(t, "GET", "/", http.Header{"Origin": {publicOrigin}}))
		if diff := cmp.Diff(append(before, "Origin, Sec-Fetch-Site"), rec.Header()["Vary"]); diff != "" {
			t.Error(diff)
		}
	}
}

// grantedPreflight returns the CORS headers of a preflight that is granted.
func grantedPreflight(methods, headers string) http.Header {
	h := http.Header{
		"Access-Control-Allow-Origin":      {allowedOrigin},
		"Access-Control-Allow-Credentials": {"true"},
		"Access-Control-Expose-Headers":    {"Retry-After, X-Request-Id, ETag, Proxy-Status"},
		"Access-Control-Allow-Methods":     {methods},
		"Access-Control-Max-Age":           {"600"},
	}
	if headers != "" {
		h.Set("Access-Control-Allow-Headers", headers)
	}
	return h
}

func TestGuardPreflight(t *testing.T) {
	const usual = "GET, HEAD, POST, PUT, PATCH, DELETE"
	granted := func(headers string) http.Header { return grantedPreflight(usual, headers) }
	type asked struct{ origin, method, headers string }
	reached := false
	guarded := newSite(t).Guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached = true }))
	for name, c := range map[string]struct {
		asked  asked
		status int
		want   http.Header
	}{
		"allowed":          {asked{allowedOrigin, "PUT", "content-type,x-csrf"}, 204, granted("content-type,x-csrf")},
		"no headers asked": {asked{allowedOrigin, "PUT", ""}, 204, granted("")},
		"an app's headers": {
			asked{allowedOrigin, "PATCH", "content-type,idempotency-key,if-match,traceparent,tracestate,x-csrf,x_1"},
			204,
			granted("content-type,idempotency-key,if-match,traceparent,tracestate,x-csrf,x_1"),
		},
		"headers no list":          {asked{allowedOrigin, "PUT", "x: y\"<"}, 204, granted("")},
		"headers too long":         {asked{allowedOrigin, "PUT", strings.Repeat("x", 1025)}, 204, granted("")},
		"other":                    {asked{"https://evil.example", "PUT", "content-type"}, 403, http.Header{}},
		"null":                     {asked{"null", "PUT", "content-type"}, 403, http.Header{}},
		"allowed in capitals":      {asked{strings.ToUpper(allowedOrigin), "PUT", "content-type"}, 403, http.Header{}},
		"allowed, with a slash":    {asked{allowedOrigin + "/", "PUT", "content-type"}, 403, http.Header{}},
		"allowed, other port":      {asked{"https://admin.example.com", "PUT", "content-type"}, 403, http.Header{}},
		"allowed, other scheme":    {asked{"http://admin.example.com:8443", "PUT", "content-type"}, 403, http.Header{}},
		"begins like allowed":      {asked{allowedOrigin + "0", "PUT", "content-type"}, 403, http.Header{}},
		"the app's own, elsewhere": {asked{publicOrigin, "PUT", "content-type"}, 403, http.Header{}},
	} {
		t.Run(name, func(t *testing.T) {
			header := http.Header{
				"Origin": {c.asked.origin}, "Sec-Fetch-Site": {"same-site"}, "Sec-Fetch-Mode": {"cors"},
				"Access-Control-Request-Method": {c.asked.method}, "Access-Control-Request-Headers": {c.asked.headers},
			}
			rec := serve(guarded, request(t, "OPTIONS", "/api/x", header))
			if rec.Code != c.status {
				t.Errorf("answered %d, want %d", rec.Code, c.status)
			}
			if diff := cmp.Diff(c.want, cors(rec.Header())); diff != "" {
				t.Error(diff)
			}
			wantVary(t, rec.Header(), "Origin", "Sec-Fetch-Site")
			if c.status == http.StatusNoContent {
				wantVary(t, rec.Header(), "Access-Control-Request-Method", "Access-Control-Request-Headers")
			}
			if reached {
				t.Error("a preflight carries no credentials and must not reach the handler")
			}
		})
	}
}

// A preflight grants every method except two, even if the route lacks it. The request
// itself is then refused with a 405, which the page can read; it could not read why a
// preflight was refused.
func TestGuardPreflightOfEveryMethod(t *testing.T) {
	const usual = "GET, HEAD, POST, PUT, PATCH, DELETE"
	guarded := newSite(t).Guard(ok)
	for method, want := range map[string]string{
		"GET": usual, "HEAD": usual, "POST": usual, "PUT": usual, "PATCH": usual, "DELETE": usual,
		"OPTIONS": usual + ", OPTIONS", "QUERY": usual + ", QUERY", "PROPFIND": usual + ", PROPFIND", "M-SEARCH": usual + ", M-SEARCH",
		"TRACE": usual, "TRACK": usual, "CONNECT": usual, "patch": usual, "*": usual, "EVIL, X": usual, strings.Repeat("X", 33): usual,
	} {
		header := http.Header{"Origin": {allowedOrigin}, "Access-Control-Request-Method": {method}}
		rec := serve(guarded, request(t, "OPTIONS", "/api/x", header))
		if diff := cmp.Diff(grantedPreflight(want, ""), cors(rec.Header())); diff != "" || rec.Code != http.StatusNoContent {
			t.Errorf("%s: answered %d\n%s", method, rec.Code, diff)
		}
	}
}

// wantVary asserts that Vary lists the names.
func wantVary(t *testing.T, h http.Header, names ...string) {
	t.Helper()
	named := strings.Split(strings.Join(h.Values("Vary"), ", "), ", ")
	for _, name := range names {
		if !slices.Contains(named, name) {
			t.Errorf("Vary %q lacks %s", named, name)
		}
	}
}
