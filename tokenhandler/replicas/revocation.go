package replicas

import (
	"errors"
	"fmt"
	"time"

	"cognito-token-handler/tokenhandler/session"
)

// Kind says what a [Revocation] identifies sessions by.
type Kind string

// The kinds of revocation.
const (
	// KindSession revokes one session. The name is [session.Name.String].
	KindSession Kind = "session"
	// KindSubject revokes every session of one user. The name is the user's sub claim.
	KindSubject Kind = "sub"
	// KindProviderSession revokes every session that belongs to one session at the
	// provider. The name is the sid claim (OpenID Connect Back-Channel Logout 1.0,
	// section 2.1).
	KindProviderSession Kind = "sid"
)

// Revocation is one entry of the deny list. It says which sessions have ended
// before their time.
type Revocation struct {
	// Kind and Name identify the sessions. Both are required.
	Kind Kind
	Name string
	// Before limits the revocation to sessions that began before this time, so that
	// the user can log in again. It is required for every kind but KindSession, where it
	// is when a login in the same browser replaced the session, or zero.
	Before time.Time
	// Until is the time from which none of these sessions can be alive anyway. The
	// entry may be removed then. Required.
	Until time.Time
	// Operator says that an operator made the revocation, and so that an operator can take
	// it back. Only those of KindSession and KindSubject can be an operator's.
	Operator bool
	// Lifted says that the operator's revocation with the same other fields is taken back:
	// it ends no further session. It needs Operator.
	Lifted bool
}

// maxNameLength is the greatest length of a Name in bytes. A sub claim has at most
// 255 characters (OpenID Connect Core 1.0, section 2).
const maxNameLength = 255

var errMalformed = errors.New("malformed revocation")

// Check returns an error if a deny list cannot hold the revocation.
func (r Revocation) Check() error {
	if err := r.CheckName(); err != nil {
		return err
	}
	if r.Until.IsZero() || r.Kind != KindSession && r.Before.IsZero() {
		return errMalformed
	}
	if r.Lifted && !r.Operator || r.Operator && (r.Kind == KindProviderSession || r.Kind == KindSession && !r.Before.IsZero()) {
		return errMalformed
	}
	return nil
}

// CheckName returns an error if there is no revocation with this kind and name.
func (r Revocation) CheckName() error {
	if r.Name == "" || len(r.Name) > maxNameLength {
		return errMalformed
	}
	switch r.Kind {
	case KindSubject, KindProviderSession:
		return nil
	case KindSession:
		if _, err := session.ParseName(r.Name); err != nil {
			return fmt.Errorf("%w: %w", errMalformed, err)
		}
		return nil
	}
	return errMalformed
}
