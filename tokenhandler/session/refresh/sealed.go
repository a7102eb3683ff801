package refresh

import (
	"fmt"

	"cognito-token-handler/tokenhandler/session"
)

// sharedName is the name under which sessions are sealed for other replicas. It is
// not the name of a cookie, so that whoever reads them in the shared store cannot use
// them as cookies.
func (c *Config) sharedName() string { return "shared " + c.Store.Session }

// seal seals a session for the other replicas.
func (c *Config) seal(s *session.Session) ([]byte, error) {
	sealed, err := c.Store.Codec().Encode(c.sharedName(), s)
	if err != nil {
		return nil, fmt.Errorf("sealing a shared session: %w", err)
	}
	return []byte(sealed), nil
}

// open opens what another replica sealed. The shared store is not trusted: the error
// is [session.ErrUnreadable] if it holds another session or another generation than
// was asked for, and [session.ErrUnknownKey] if this process does not have the key yet.
func (c *Config) open(id session.ID, generation uint64, sealed []byte) (*session.Session, error) {
	shared := &session.Session{}
	if err := c.Store.Codec().Decode(c.sharedName(), string(sealed), shared); err != nil {
		return nil, fmt.Errorf("opening a shared session: %w", err)
	}
	if shared.ID != id || shared.Generation != generation {
		return nil, session.ErrUnreadable
	}
	return shared, nil
}
