package session

import "fmt"

// sharedName is the name under which sessions are sealed for other replicas. It is
// not the name of a cookie, so that whoever reads them in the shared store cannot
// use them as cookies.
func (s *Store) sharedName() string { return "shared " + s.session }

// SealShared seals a session for the other replicas, by the codec of the session
// cookie under another name. Errors: a [*TooLargeError]; those of [Session.Tokens].
func (s *Store) SealShared(shared *Session) ([]byte, error) {
	sealed, err := s.sessions.Encode(s.sharedName(), shared)
	if err != nil {
		return nil, fmt.Errorf("sealing a shared session: %w", err)
	}
	return []byte(sealed), nil
}

// OpenShared opens what another replica sealed with [Store.SealShared]. The shared
// store is not trusted: the error is [ErrUnreadable] if it holds another session or
// another generation than the caller asked for.
func (s *Store) OpenShared(id ID, generation uint64, sealed []byte) (*Session, error) {
	shared := &Session{}
	if err := s.sessions.Decode(s.sharedName(), string(sealed), shared); err != nil {
		return nil, fmt.Errorf("opening a shared session: %w", unreadable(err))
	}
	if shared.ID != id || shared.Generation != generation {
		return nil, ErrUnreadable
	}
	return shared, nil
}
