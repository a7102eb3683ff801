package revocation

import (
	"errors"
	"fmt"
	"time"

	"cognito-token-handler/tokenhandler/session"
)

// Kind is what an [Entry] names sessions by.
type Kind string

// The kinds.
const (
	// Session is one session, by the name that logs show: 16 hexadecimal digits.
	Session Kind = "session"
	// Subject is every session of one user, by sub.
	Subject Kind = "sub"
	// ProviderSession is every session of one session at the provider, by its sid
	// (OIDC Back-Channel Logout §2.1).
	ProviderSession Kind = "sid"
)

// Entry says which sessions are over before their time.
type Entry struct {
	// Kind and Name say whose.
	Kind Kind
	Name string
	// Before ends only sessions that began before it; zero is all of them. It is
	// set for every kind but Session: the user may log in again.
	Before time.Time
	// Until is when no session that it names can be alive: then it may go.
	Until time.Time
}

// maxName bounds names: sub and sid have at most 255 characters (OIDC Core §2).
const maxName = 255

var errEntry = errors.New("malformed revocation")

// Check reports whether the entry can be kept by a list.
func (e Entry) Check() error {
	if e.Name == "" || len(e.Name) > maxName || e.Until.IsZero() {
		return errEntry
	}
	switch e.Kind {
	case Subject, ProviderSession:
		if e.Before.IsZero() {
			return errEntry
		}
		return nil
	case Session:
		if _, err := session.ParseName(e.Name); err != nil {
			return fmt.Errorf("%w: %w", errEntry, err)
		}
		return nil
	}
	return errEntry
}
