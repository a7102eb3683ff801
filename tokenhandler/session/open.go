package session

import (
	"fmt"
	"net/http"

	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
)

// Open opens the cookies of a request. It uses no network. Errors: [ErrNone],
// [ErrUnreadable], [ErrIdle], [ErrExpired], [ErrCookiesTooLarge]. The result is
// never nil: after an error it can still remove the cookies from the browser.
//
// Open does NOT check whether the session was revoked: that is up to the caller.
func (s *Store) Open(h http.Header) (*RequestCookies, error) {
	c := &RequestCookies{store: s}
	var err error
	if c.jar, err = s.cfg.Cookies.Read(h); err != nil {
		return c, err
	}
	return c, c.open()
}

func (c *RequestCookies) open() error {
	parts, n, err := c.jar.sessionParts()
	if err != nil {
		return err
	}
	s, err := c.store.openSession(c.store.cfg.Cookies.session, parts[:n])
	if err != nil {
		return err
	}
	now := c.store.cfg.Now()
	// When an operator shortens the lifetime, that holds for existing sessions too.
	if limit := s.Begun.Add(c.store.cfg.AbsoluteLifetime); limit.Before(s.Expires) {
		s.Expires = limit
	}
	c.Stored, c.generation = s, s.Generation
	if !now.Before(s.Ends()) {
		return ErrExpired
	}
	c.active, c.probed = c.store.lastActivity(s, c.jar.active, now)
	c.activeWritten, c.probedWritten = c.active, c.probed
	if !now.Before(c.active.Add(c.store.cfg.IdleTimeout)) {
		return ErrIdle
	}
	return nil
}

// openSession decodes, opens and parses a sealed session. Every request does this.
func (s *Store) openSession(name string, parts []string) (*Session, error) {
	buf, err := s.borrow()
	if err != nil {
		return nil, err
	}
	defer s.codec.scratch.Put(buf)
	payload, key, err := s.openPayload(name, parts, buf)
	if err != nil {
		return nil, err
	}
	s.metrics.OpenedByKey.WithLabelValues(key.String()).Inc()
	opened, err := decode(payload, buf)
	if err != nil {
		return nil, err
	}
	opened.source = source{store: s, name: name, n: len(parts)}
	copy(opened.source.parts[:], parts)
	return opened, nil
}

// openTokens opens the same sealed session again, for all of its tokens.
func (s *Store) openTokens(name string, parts []string) (secret.Tokens, error) {
	buf, err := s.borrow()
	if err != nil {
		return secret.Tokens{}, err
	}
	defer s.codec.scratch.Put(buf)
	payload, _, err := s.openPayload(name, parts, buf)
	if err != nil {
		return secret.Tokens{}, err
	}
	return decodeTokens(payload, buf)
}

func (s *Store) borrow() (*scratch, error) {
	if buf, ok := s.codec.scratch.Get().(*scratch); ok {
		return buf, nil
	}
	return nil, ErrUnreadable
}

// openPayload returns the payload inside buf.
func (s *Store) openPayload(name string, parts []string, buf *scratch) ([]byte, seal.KeyID, error) {
	sealed := buf.sealed[:0]
	for _, part := range parts {
		var err error
		if sealed, err = seal.AppendDecode(sealed, part); err != nil {
			return nil, seal.KeyID{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
	}
	buf.sealed = sealed
	payload, key, err := s.cfg.Keys.Open(name, sealed)
	if err != nil {
		return nil, key, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	return payload, key, nil
}
