package config

import (
	"net/netip"
	"net/url"
	"time"

	"cognito-token-handler/tokenhandler/secret"
)

// Config is the checked configuration, with defaults filled in. reference.md has the
// key, default and limits of every field.
type Config struct {
	// PublicURL is the origin under which browsers reach the service: scheme, host,
	// and the port unless it is the scheme's default. Its path is empty.
	PublicURL *url.URL
	// Listen is the host:port of the public listener.
	Listen string
	// H2C reports whether the public listener accepts HTTP/2 without TLS.
	H2C bool
	TLS TLS
	// AllowedOrigins are origins as browsers write them in the Origin header: lower
	// case, no default port, no slash at the end.
	AllowedOrigins []string
	// TrustedProxies are masked prefixes. A single address is a prefix of full length.
	TrustedProxies []netip.Prefix

	Cookies  Cookies
	Provider Provider
	Auth     Auth
	Session  Session
	// Revocation has an effect only if Session.Store is set.
	Revocation Revocation
	API        API
	Limits     Limits
	Storage    Storage
	SPA        SPA
	Admin      Admin
	Shutdown   Shutdown
	Log        Log
	Audit      Audit
	Tracing    Tracing

	// Warnings are what is allowed and may still be a mistake.
	Warnings []Warning
}

// TLS names the certificate of the public listener. Both fields are set or neither.
type TLS struct {
	CertFile string
	KeyFile  string
}

// Cookies holds what may be relaxed about cookies.
type Cookies struct {
	// InsecurePlainHTTP leaves out the prefix of the cookies' names and Secure. It is
	// possible only if PublicURL is http://, and safe only on a developer's machine.
	InsecurePlainHTTP bool
}

// The values of [Provider.Kind].
const (
	KindCognito = "cognito"
	KindOIDC    = "oidc"
)

// Provider is the OpenID provider and the client that is registered with it.
type Provider struct {
	// Kind is [KindCognito] or [KindOIDC]. If it is not set, it follows from Issuer.
	Kind string
	// Issuer is spelt as the operator wrote it, because it must equal the provider's
	// own spelling.
	Issuer string
	// Domain is the origin of the hosted UI without a slash at the end. If it is
	// empty, the discovery document has it.
	Domain   string
	ClientID string
	// TrustedAudiences are further audiences that tokens may have beside ClientID.
	TrustedAudiences []string
	// ClientSecret holds at least one secret unless InsecurePublicClient is set. A
	// client may have two while one is being replaced: try them in order.
	ClientSecret []secret.String
	// ClientSecretFile is the file of ClientSecret, which [ParseClientSecrets] can parse
	// again when it changes. It is empty if the secrets were set without a file.
	ClientSecretFile     string
	InsecurePublicClient bool
	// ClientAuth is "basic" or "post".
	ClientAuth string
	// Scopes always contain openid.
	Scopes            []string
	Endpoints         Endpoints
	InsecureSkipNonce bool
	// InsecureLogoutWithoutExp accepts back-channel logout tokens without exp.
	InsecureLogoutWithoutExp bool
	// RotationGrace is how long the provider accepts a refresh token after it was
	// rotated: RetryGracePeriodSeconds in Cognito.
	RotationGrace time.Duration
	// MaxRequestsPerSecond limits the calls of this process. It is at least 1.
	MaxRequestsPerSecond int
}

// Endpoints replace those of the discovery document; empty ones do not. If
// Authorization, Token and JWKS are set, the document is not needed.
type Endpoints struct {
	Authorization string
	Token         string
	Revocation    string
	Userinfo      string
	Logout        string
	JWKS          string
}

// Auth configures the endpoints for login, session and logout.
type Auth struct {
	// Path has no slash at the end.
	Path string
	// ErrorPath is a path of the app. If it is empty, failed logins end on a plain
	// page of the service.
	ErrorPath string
	// TriggerMessages sends messages of Lambda triggers to ErrorPath.
	TriggerMessages bool
	// AfterLogout is a path of the app.
	AfterLogout         string
	AllowCrossSiteLogin bool
	// VerifySecret is empty if /auth/verify is off.
	VerifySecret secret.String
	// VerifySecretFile is the file of VerifySecret, for [ParseVerifySecret], or empty.
	VerifySecretFile string
}

// Session configures how sessions are encrypted and how long they live.
type Session struct {
	// Keys are in base64, 32 bytes each, all different, at least one. The
	// first encrypts, all decrypt. [KeyBytes] decodes them.
	Keys []secret.String
	// KeysFile is the file of Keys, which [ParseKeys] can parse again when it
	// changes. It is empty if the keys were set without a file.
	KeysFile         string
	IdleTimeout      time.Duration
	AbsoluteLifetime time.Duration
	// Persistent reports whether sessions outlive the browser.
	Persistent    bool
	RefreshBefore time.Duration
	RefreshGrace  time.Duration
	// Claims are the claims that /auth/session returns.
	Claims []string
	// CookieName is the name of the session cookie without its prefix.
	CookieName string
	// Store is a URL that may contain a password, or empty for no store.
	Store secret.String
	// InsecurePlainStore allows a store on another machine without TLS. It is safe only
	// if the network itself encrypts.
	InsecurePlainStore bool
	// ProbeInterval is 0 if there are no probes.
	ProbeInterval time.Duration
}

// Revocation configures what happens while the shared store cannot be reached.
type Revocation struct {
	// OnOutage is "allow" or "deny".
	OnOutage string
}

// API configures the API proxy.
type API struct {
	// RequestsPerSession and StreamsPerSession bound what a session has under way.
	RequestsPerSession, StreamsPerSession int

	Routes []Route
}

// Limits bound how often a client or a session may do something.
type Limits struct {
	// Login, Callback, AdminToken and VerifySecret are by client address, Refresh and
	// Presigns by session.
	Login, Callback, Refresh, Presigns, AdminToken, VerifySecret Rate
	// LoginCookie is how many codes one login's cookie is good for.
	LoginCookie int
	// Exempt are networks whose clients are not limited by Login and Callback.
	Exempt []netip.Prefix
}

// Rate is a number of requests that are allowed at once, and as many more in each Per.
type Rate struct {
	Count int
	Per   time.Duration
}

// Route forwards the requests whose path has a prefix to one upstream.
type Route struct {
	// Path starts and ends with a slash.
	Path string
	// Upstream has the scheme http, https, h2c or unix. With unix, it has only the
	// path of a socket. Otherwise it has a host and may have a path; it has no user,
	// query or fragment.
	Upstream *url.URL
	// UpstreamHost is empty unless the upstream is unix.
	UpstreamHost string
	// UpstreamCAFile is empty unless the upstream is https.
	UpstreamCAFile string
	// InsecureHTTPUpstream allows an http or h2c upstream on another machine. That is
	// safe only if the network itself encrypts.
	InsecureHTTPUpstream bool
	StripPrefix          bool
	// Methods is empty if all methods except CONNECT and TRACE are allowed.
	Methods []string
	// Token is "access", "id" or "none".
	Token string
	// Scopes and Groups are empty if the route requires none.
	Scopes     []string
	Groups     []string
	Anonymous  bool
	Timeout    time.Duration
	MaxBody    int64 // bytes
	ReplayBody int64 // bytes
	WebSocket  bool
	// ProbeInterval is 0 if only the session's applies.
	ProbeInterval time.Duration
}

// Storage configures the users' folders in S3. They are off if Bucket is empty.
type Storage struct {
	Bucket string
	Region string
	// Endpoint is an origin without a slash at the end, or empty for AWS.
	Endpoint  string
	PathStyle bool
	// Path has no slash at the end.
	Path string
	// Prefix contains {sub} as a whole segment and ends with a slash.
	Prefix  string
	MaxSize int64 // bytes
	// ContentTypes are in lower case. All types are allowed if it is empty.
	ContentTypes []string
	Expires      time.Duration
	Quota        Quota
	// SSE is empty for the bucket's own encryption.
	SSE      string
	KMSKeyID string
	// ExpectedBucketOwner is the id of an AWS account, or empty for any.
	ExpectedBucketOwner string
	// Credentials is "service", "session_policy", "web_identity" or "identity_pool".
	Credentials string
	// RoleARN is set with session_policy and web_identity, IdentityPoolID with
	// identity_pool.
	RoleARN        string
	IdentityPoolID string
}

// Quota limits each user's folder. 0 is no limit.
type Quota struct {
	Bytes   int64
	Objects int64
}

// SPA configures the app that the service serves. It serves none if Dir is empty.
type SPA struct {
	Dir string
	// ContentSecurityPolicy is empty for the built-in strict policy, to which ExtraPolicy
	// adds sources.
	ContentSecurityPolicy string
	ExtraPolicy           string
}

// Admin configures the listener for operators.
type Admin struct {
	Listen string
	// Hosts are further names under which the listener answers, in lower case.
	Hosts []string
	// Token is empty if /admin is off.
	Token secret.String
	// TokenFile is the file of Token, for [ParseAdminToken], or empty.
	TokenFile string
	// Tokens are further tokens, with names.
	Tokens []AdminToken
}

// IsOn reports whether /admin is on.
func (a Admin) IsOn() bool { return !a.Token.IsZero() || len(a.Tokens) > 0 }

// Audit configures the audit trail.
type Audit struct {
	// Output is [AuditStderr], [AuditFile] or [AuditOff].
	Output string
	// File is the file of AuditFile.
	File string
	// Format is "json" or "ocsf".
	Format string
	// OnFailure is "continue" or "refuse".
	OnFailure string
}

// The values of audit.output.
const (
	AuditStderr = "stderr"
	AuditFile   = "file"
	AuditOff    = "off"
)

// Shutdown configures how the service ends.
type Shutdown struct {
	// Delay is how long the service goes on to serve after SIGTERM.
	Delay time.Duration
}

// Log configures the log.
type Log struct {
	Level  string // "debug", "info", "warn" or "error"
	Format string // "text" or "json"
	// Requests says which requests are logged: "all", "errors" or "none".
	Requests string
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
