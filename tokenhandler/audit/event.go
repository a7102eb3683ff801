package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"cognito-token-handler/tokenhandler/web"
)

// The names of the events.
const (
	Login            = "login"
	LoginFailed      = "login_failed"
	Logout           = "logout"
	SessionEnded     = "session_ended"
	RefreshRefused   = "refresh_refused"
	Revoked          = "revoked"
	RevocationLifted = "revocation_lifted"
	AdminDenied      = "admin_denied"
	RateLimited      = "rate_limited"
	Presigned        = "presigned"
	Copied           = "copied"
	Deleted          = "deleted"
	KeysReloaded     = "keys_reloaded"
	ConfigLoaded     = "config_loaded"
	outcomeSucceeded = "success"
	outcomeFailed    = "failure"
)

// Names returns the names of all events.
func Names() []string {
	return []string{Login, LoginFailed, Logout, SessionEnded, RefreshRefused, Revoked, RevocationLifted, AdminDenied, RateLimited, Presigned, Copied, Deleted, KeysReloaded, ConfigLoaded}
}

// schema is the version of the records. It changes when a field changes its meaning or
// goes away.
const schema = 1

// Event is what is recorded. Fields that are not known are empty.
type Event struct {
	// Name is one of [Names]. Required.
	Name string `json:"event"`
	// Failed tells that what was tried was refused or failed.
	Failed bool `json:"-"`
	// Anonymous tells that anybody can cause the event, without end. Such events take at most
	// half of the queue, and [Trail.Note] sums them up.
	Anonymous bool `json:"-"`
	// Cause is why: an error code, or the cause of a session's end.
	Cause string `json:"cause,omitempty"`
	// Subject is the user's sub, and Session the session's name in logs.
	Subject string `json:"sub,omitempty"`
	Session string `json:"session,omitempty"`
	// Caller is who sent the request.
	web.Caller //nolint:embeddedstructfieldcheck // records have this order
	// IdentityProvider is where the user logged in, if it is not the user pool itself, as a
	// verified token says.
	IdentityProvider string `json:"identity_provider,omitempty"`
	// RequestedIdentityProvider is the one that the login was begun for, by a parameter
	// that anybody can set. It proves nothing.
	RequestedIdentityProvider string `json:"requested_identity_provider,omitempty"`
	// By is who ended sessions, or took that back: "user", "provider", or "operator:" and the token's name.
	By string `json:"by,omitempty"`
	// Target is what was ended ("sub:…", "session:…", "sid:…"), signed, copied or deleted
	// (the key of an object), or read again (a file).
	Target string `json:"target,omitempty"`
	// Reason is what the operator wrote.
	Reason string `json:"reason,omitempty"`
	// Count is how many events the record sums up, the first of them at Since. It is 0 in a
	// record of one event.
	Count int       `json:"count,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// record is an event as it is written with the format json.
type record struct {
	Type    string `json:"type"` // tells records from those of the log
	Time    string `json:"time"`
	Schema  int    `json:"schema"`
	Outcome string `json:"outcome"`
	Replica string `json:"replica"`
	Event          //nolint:embeddedstructfieldcheck // records have this order
}

// encode returns the line of an event.
func (t *Trail) encode(e *Event, now time.Time) ([]byte, error) {
	outcome := outcomeSucceeded
	if e.Failed {
		outcome = outcomeFailed
	}
	var value any = record{Type: "audit", Time: now.UTC().Format(time.RFC3339Nano), Schema: schema, Outcome: outcome, Replica: t.cfg.Replica, Event: *e}
	if t.cfg.OCSF {
		value = t.ocsf(e, now)
	}
	var line bytes.Buffer
	encoder := json.NewEncoder(&line)
	encoder.SetEscapeHTML(false) // which would make a user agent six times as long
	if err := encoder.Encode(value); err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	return line.Bytes(), nil
}
