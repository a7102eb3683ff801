package cognitotest

// AddUser adds an account, or replaces the one of that name.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.Username] = &account{User: u.withDefaults()}
}

// User returns an account as it stands; the zero User if there is none.
func (s *Server) User(username string) User {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.users[username]; a != nil {
		return a.User
	}
	return User{}
}

// LoginAs names whom the hosted UI logs in from now on. A hosted session that a
// browser still has counts first, as on the real pages.
func (s *Server) LoginAs(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loginUser = username
}

// DisableUser does what AdminDisableUser of Cognito's API does: it revokes every
// token of the user. Enabling the user again does not restore them.
func (s *Server) DisableUser(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.users[username]; a != nil {
		a.disabled = true
	}
	s.endFamilies(username)
}

// EnableUser lets a disabled user log in again.
func (s *Server) EnableUser(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.users[username]; a != nil {
		a.disabled = false
	}
}

// DeleteUser removes an account and everything that it had.
func (s *Server) DeleteUser(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, username)
	s.endFamilies(username)
}

// SignOut does what AdminUserGlobalSignOut of Cognito's API does: it revokes all
// refresh tokens of the user, and leaves the cookies of the hosted pages.
func (s *Server) SignOut(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endFamilies(username)
}

// endFamilies revokes every login of a user; s.mu is held.
func (s *Server) endFamilies(username string) {
	for _, f := range s.families {
		if f.user.Username == username {
			f.revoked = true
		}
	}
}

// active returns the account if it may log in; s.mu is held.
func (s *Server) active(username string) (User, bool) {
	a := s.users[username]
	if a == nil || a.disabled {
		return User{}, false
	}
	return a.User, true
}
