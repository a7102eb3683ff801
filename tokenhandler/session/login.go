package session

import (
	"fmt"
	"net/http"
	"time"

	"cognito-token-handler/tokenhandler/seal"
)

const (
	// LoginLifetime is how long a login may take: sign-up and a second factor
	// included, and longer than the 5 minutes of a code (FACTS COG-AUTH-03).
	LoginLifetime = 15 * time.Minute
	// maxLogin bounds the value of a login cookie.
	maxLogin = 3000
)

// SetLogin writes the cookie of the login called id. It is Lax, because the
// provider's redirect back to us comes from another site (FACTS CK-06).
func (s *Store) SetLogin(h http.Header, id string, payload []byte) error {
	name := s.cfg.Cookies.Login(id)
	value, err := seal.Codec{Keys: s.cfg.Keys, MaxLength: maxLogin}.Encode(name, payload)
	if err != nil {
		return fmt.Errorf("sealing login: %w", err)
	}
	s.cfg.Cookies.Set(h, name, value, http.SameSiteLaxMode, LoginLifetime)
	return nil
}

// OpenLogin opens the value of the cookie of the login called id.
func (s *Store) OpenLogin(id, value string) ([]byte, error) {
	var payload []byte
	err := seal.Codec{Keys: s.cfg.Keys, MaxLength: maxLogin}.Decode(s.cfg.Cookies.Login(id), value, &payload)
	if err != nil {
		return nil, fmt.Errorf("opening login: %w", err)
	}
	return payload, nil
}

// ExpireLogin removes the cookie of the login called id.
func (s *Store) ExpireLogin(h http.Header, id string) {
	s.cfg.Cookies.Expire(h, s.cfg.Cookies.Login(id))
}
