package wire

import (
	"encoding/json"
	"time"
)

// Session is the response to GET /auth/session and POST /auth/refresh.
type Session struct {
	// Authenticated reports whether there is a session. It decides which other fields are
	// present: Now always is.
	Authenticated bool `json:"authenticated"`
	// Now is the server's clock, in milliseconds. The clock of a user's device may be wrong
	// by minutes, so an app compares the other times with this one.
	Now Time `json:"now"`

	// LoginURL begins a login. It is absolute for pages of allowed_origins. Absent with a
	// session.
	LoginURL string `json:"login_url,omitempty"`
	// Ended says why the session is over that the browser still had a cookie of. It is
	// present in one response only, because that removes the cookie, and absent if there was
	// no session or if nobody knows.
	Ended Ended `json:"ended,omitempty"`

	// User has the claims of session.claims. Absent without a session, as all that follow.
	User json.RawMessage `json:"user,omitempty"`
	// SessionID is the name of the session in logs and at /admin: 16 hexadecimal digits,
	// with which nobody can use the session.
	SessionID string `json:"session_id,omitempty"`
	// AuthTime is when the user signed in at the provider, which may be before this session
	// began: the provider has a session of its own.
	AuthTime *Time `json:"auth_time,omitempty"`
	// ExpiresAt is when the session ends even if the user is active: the end of its absolute
	// lifetime, or that of the refresh token if it is earlier and the provider has told it. A
	// refresh may prolong the latter.
	ExpiresAt *Time `json:"expires_at,omitempty"`
	// IdleExpiresAt is when the session ends without further activity.
	IdleExpiresAt *Time `json:"idle_expires_at,omitempty"`
	// AccessTokenExpiresAt is the time before which the access token is refreshed.
	AccessTokenExpiresAt *Time `json:"access_token_expires_at,omitempty"`
	// Warning is "session_too_large" while the newest tokens do not fit into the browser's
	// cookies.
	Warning string `json:"warning,omitempty"`
}

// Ended is why a session is over.
type Ended string

// The reasons.
const (
	// EndedIdle means that there was no activity for session.idle_timeout.
	EndedIdle Ended = "idle"
	// EndedExpired means that the absolute lifetime, or the refresh token's, is over.
	EndedExpired Ended = "expired"
	// EndedLogout means that the user has logged out: in another tab, or everywhere.
	EndedLogout Ended = "logout"
	// EndedRevoked means that somebody else has ended the session, an operator or the
	// provider. A logout that another replica served looks the same.
	EndedRevoked Ended = "revoked"
	// EndedRefused means that the provider does not renew the session any more.
	EndedRefused Ended = "refused"
)

// Logout is the response to POST /auth/logout.
type Logout struct {
	// LogoutURL is where the app sends the browser to end the session at the provider, too.
	// It is absolute.
	LogoutURL string `json:"logout_url"`
}

// Problem is the body of every error (RFC 9457 §3).
type Problem struct {
	// Type is always "about:blank".
	Type string `json:"type"`
	// Title is the text of the status.
	Title string `json:"title"`
	// Status is the HTTP status.
	Status int `json:"status"`
	// Code is the kind of the error. Clients branch on it, so it never changes.
	Code string `json:"code"`
	// Detail is a sentence for the developer who reads the response.
	Detail string `json:"detail,omitempty"`
	// LoginURL begins a login. It stands in every 401, absolute for pages of allowed_origins.
	LoginURL string `json:"login_url,omitempty"`
	// RequestID names the request in the service's log.
	RequestID string `json:"request_id,omitempty"`
}

// Time is a time in UTC (RFC 3339). Its fraction of a second has three digits, or none if it
// is 0.
type Time struct{ time.Time }

// At returns t as a [Time], or nil if t is not known.
func At(t time.Time) *Time {
	if t.IsZero() {
		return nil
	}
	return &Time{t}
}

// MarshalText implements [encoding.TextMarshaler].
func (t Time) MarshalText() ([]byte, error) {
	layout := time.RFC3339
	if t.Nanosecond() >= int(time.Millisecond) {
		layout = "2006-01-02T15:04:05.000Z07:00"
	}
	return []byte(t.UTC().Format(layout)), nil
}

// MarshalJSON implements [json.Marshaler]. It hides that of [time.Time].
func (t Time) MarshalJSON() ([]byte, error) {
	text, err := t.MarshalText()
	return append(append([]byte{'"'}, text...), '"'), err
}
