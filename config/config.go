package config

import (
	"net/netip"
	"net/url"
	"time"

	"cognito-token-handler/tokenhandler/secret"
)

// Config is everything an operator can set, checked and with defaults filled
// in. The keys, defaults and limits of every field are in reference.md.
type Config struct {
	// PublicURL is the origin that browsers see: scheme, host and, if it is
	// not the scheme's own, port. It has no path, not even "/".
	PublicURL *url.URL
	// Listen is the public listener's host:port.
	Listen string
	// H2C: the public listener speaks HTTP/2 without TLS, too.
	H2C bool
	TLS TLS
	// AllowedOrigins are origins as browsers write them in Origin: lower
	// case, no default port, no trailing slash.
	AllowedOrigins []string
	// TrustedProxies are masked prefixes; a single address is a full-length one.
	TrustedProxies []netip.Prefix

	Cookies  Cookies
	Provider Provider
	Auth     Auth
	Session  Session
	// Revocation only matters with Session.Store.
	Revocation Revocation
	API        API
	Storage    Storage
	SPA        SPA
	Admin      Admin
	Log        Log
	Tracing    Tracing
}

// TLS names the public listener's certificate. Both are set or neither is.
type TLS struct {
	CertFile string
	KeyFile  string
}

// Cookies holds what may be relaxed about cookies.
type Cookies struct {
	// InsecurePlainHTTP drops the name prefix and Secure. Only possible where
	// PublicURL is http://; safe only on a developer's machine.
	InsecurePlainHTTP bool
}

// The kinds of provider, see [Provider.Kind].
const (
	KindCognito = "cognito"
	KindOIDC    = "oidc"
)

// Provider is the OpenID provider and our registration with it.
type Provider struct {
	// Kind is [KindCognito] or [KindOIDC]; inferred from Issuer if not set.
	Kind string
	// Issuer is kept to the letter: it must equal the provider's own spelling.
	Issuer string
	// Domain is the hosted UI's origin without a trailing slash; empty means
	// that discovery tells.
	Domain   string
	ClientID string
	// ClientSecret holds at least one secret unless InsecurePublicClient. Try
	// them in order: a client may have two while one is replaced (COG-TOK-01).
	ClientSecret         []secret.String
	InsecurePublicClient bool
	// ClientAuth is "basic" or "post".
	ClientAuth string
	// Scopes always contain openid.
	Scopes            []string
	Endpoints         Endpoints
	InsecureSkipNonce bool
	// RotationGrace is the app client's RetryGracePeriodSeconds.
	RotationGrace time.Duration
	// MaxRequestsPerSecond is at least 1, and for this process alone.
	MaxRequestsPerSecond int
}

// Endpoints override what discovery says; empty ones do not. With
// Authorization, Token and JWKS given, discovery is not needed.
type Endpoints struct {
	Authorization string
	Token         string
	Revocation    string
	Userinfo      string
	Logout        string
	JWKS          string
}

// Auth is where the token handler's own pages are.
type Auth struct {
	// Path has no trailing slash.
	Path string
	// ErrorPath is a path of the app, or empty: then a plain page is shown.
	ErrorPath string
	// AfterLogout is a path of the app.
	AfterLogout         string
	AllowCrossSiteLogin bool
	// VerifySecret is empty if /auth/verify is off.
	VerifySecret secret.String
}

// Session is how sessions are sealed and how long they live.
type Session struct {
	// Keys are in base64, each of exactly 32 bytes, no two alike, at least
	// one: the first seals, all open. [KeyBytes] decodes them.
	Keys []secret.String
	// KeysFile is where Keys came from, so that it can be read again with
	// [ParseKeys]; empty if they were given inline.
	KeysFile         string
	IdleTimeout      time.Duration
	AbsoluteLifetime time.Duration
	RefreshBefore    time.Duration
	RefreshGrace     time.Duration
	// Claims are what /auth/session shows of the user.
	Claims []string
	// CookieName is the part after the prefix.
	CookieName string
	// Store is a URL that may hold a password; empty for none.
	Store secret.String
	// ProbeInterval is 0 for never.
	ProbeInterval time.Duration
}

// Revocation is what happens to revocations when the shared store is out.
type Revocation struct {
	// OnOutage is "allow" or "deny".
	OnOutage string
}

// API is the same-site proxy.
type API struct {
	Routes []Route
}

// Route sends one path prefix to one upstream.
type Route struct {
	// Path begins and ends with a slash.
	Path string
	// Upstream has a host and perhaps a path; no user, query or fragment. Its scheme
	// is http, https or h2c; or unix, and then it is the path of a socket only.
	Upstream *url.URL
	// UpstreamHost is empty but beside a unix upstream.
	UpstreamHost string
	// UpstreamCAFile is empty but beside an https upstream.
	UpstreamCAFile string
	// InsecureHTTPUpstream permits an http:// upstream that is not on this
	// machine. Safe only where the network itself encrypts.
	InsecureHTTPUpstream bool
	StripPrefix          bool
	// Methods is empty for all (but CONNECT and TRACE).
	Methods []string
	// Token is "access", "id" or "none".
	Token string
	// Scopes and Groups are empty if the route asks for none.
	Scopes     []string
	Groups     []string
	Anonymous  bool
	Timeout    time.Duration
	MaxBody    int64 // bytes
	ReplayBody int64 // bytes
	WebSocket  bool
	// ProbeInterval is 0 for the session's.
	ProbeInterval time.Duration
}

// Storage is the users' folders in S3. It is off if Bucket is empty.
type Storage struct {
	Bucket string
	Region string
	// Endpoint is an origin without a trailing slash; empty means AWS.
	Endpoint  string
	PathStyle bool
	// Path has no trailing slash.
	Path string
	// Prefix contains {sub} as a whole segment and ends with a slash.
	Prefix  string
	MaxSize int64 // bytes
	// ContentTypes are lower case; empty means all.
	ContentTypes []string
	Expires      time.Duration
	// Credentials is always "service" for now.
	Credentials    string
	RoleARN        string
	IdentityPoolID string
}

// SPA is the built app that we serve. It is off if Dir is empty.
type SPA struct {
	Dir string
	// ContentSecurityPolicy is empty for the built-in strict one.
	ContentSecurityPolicy string
}

// Admin is the second listener.
type Admin struct {
	Listen string
	// Token is empty if /admin is off.
	Token secret.String
}

// Log is how the service logs.
type Log struct {
	Level  string // "debug", "info", "warn" or "error"
	Format string // "text" or "json"
}

// Tracing is read from the standard environment variables of OpenTelemetry; the
// file has no keys for it. The SDK itself reads the variables that are not here.
type Tracing struct {
	// Exporters holds [ExporterOTLP], [ExporterConsole] or both. Tracing is off if
	// it is empty.
	Exporters []string
	// Protocol is the protocol of the OTLP exporter: "http/protobuf", "http/json" or
	// [ProtocolGRPC]; empty for the exporter's default, "http/protobuf".
	Protocol string
	// Plain reports whether the OTLP exporter connects without TLS.
	Plain bool
	// Propagators are names for tracing.Propagator.
	Propagators []string
}
