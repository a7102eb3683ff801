package session

// NamesUs reports whether the tokens of a payload name the issuer and the client of s.
func (s *Store) NamesUs(payload []byte) bool { return s.namesUs(payload) }
