package session

import (
	"errors"
	"fmt"
)

// sharedName is the name that sessions are sealed under for the shared store:
// whoever reads them there cannot use them as cookies.
func (c Cookies) sharedName() string { return "shared " + c.session }

// maxShared bounds what is opened from the store.
const maxShared = 64 << 10

var errTooLargeToShare = errors.New("the session is too large to be shared")

// SealShared seals a session for the other replicas. What it returns is no cookie.
func (s *Store) SealShared(shared *Session) ([]byte, error) {
	t, err := shared.Tokens()
	if err != nil {
		return nil, err
	}
	payload, ok := s.codec.encode(shared, t)
	if !ok {
		return nil, errTooLargeToShare
	}
	return s.cfg.Keys.Seal(nil, s.cfg.Cookies.sharedName(), payload), nil
}

// OpenShared opens what another replica sealed with [Store.SealShared]. The shared
// store is not trusted: the error is [ErrUnreadable] if it holds another session or
// another generation than the caller asked for.
func (s *Store) OpenShared(id ID, generation uint64, sealed []byte) (*Session, error) {
	if len(sealed) > maxShared {
		return nil, ErrUnreadable
	}
	shared, err := s.openSession(s.cfg.Cookies.sharedName(), []string{string(sealed)})
	if err != nil {
		return nil, fmt.Errorf("opening a shared session: %w", err)
	}
	if shared.ID != id || shared.Generation != generation {
		return nil, ErrUnreadable
	}
	return shared, nil
}
