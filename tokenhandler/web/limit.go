package web

// The limits that refuse requests with 429, as a metric names them.
const (
	LimitSessionRequests = "session_requests" // API requests of a session that are under way
	LimitSessionStreams  = "session_streams"  // event streams and WebSockets of a session
	LimitRefresh         = "refresh"          // refreshes that a session's app asks for
	LimitLogin           = "login"            // logins that a client begins
	LimitCallback        = "callback"         // callbacks of a client that no login of its own explains, or with too many codes of one
	LimitPresigns        = "presigns"         // presigned URLs that a session's app asks for
	LimitUploads         = "uploads"          // uploads of a user that begin at once, or have begun lately
	LimitAdminToken      = "admin_token"      // requests to /admin with a wrong token
	LimitVerifySecret    = "verify_secret"    // requests to /auth/verify with a wrong secret
	LimitProvider        = "provider"         // that of the identity provider, or of calls to it
	LimitStorage         = "storage"          // that of S3
)

// Limits returns all limits, for metrics that exist before the first request is refused.
func Limits() []string {
	return []string{
		LimitSessionRequests, LimitSessionStreams, LimitRefresh, LimitLogin, LimitCallback, LimitPresigns, LimitUploads,
		LimitAdminToken, LimitVerifySecret, LimitProvider, LimitStorage,
	}
}

// By sets the limit that refused the request and returns p.
func (p *Problem) By(limit string) *Problem {
	p.Limit = limit
	return p
}
