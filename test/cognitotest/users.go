package cognitotest

// AddUser adds an account, or replaces the account with that user name.
func (s *Server) AddUser(u User) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[u.Username] = &account{User: u.withDefaults()}
}

// User returns an account, or the zero User if there is none.
func (s *Server) User(username string) User {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.users[username]; a != nil {
		return a.User
	}
	return User{}
}

// LoginAs sets the user that the hosted UI logs in. As on the real pages, the hosted
// session that a browser may still have takes precedence.
func (s *Server) LoginAs(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loginUser = username
}

// DisableUser disables an account like AdminDisableUser of Cognito's API: it revokes
// all tokens of the user. Enabling the user again does not restore them.
func (s *Server) DisableUser(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.users[username]; a != nil {
		a.disabled = true
	}
	s.revokeFamilies(username)
}

// EnableUser lets a disabled user log in again.
func (s *Server) EnableUser(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.users[username]; a != nil {
		a.disabled = false
	}
}

// DeleteUser removes an account and revokes its logins.
func (s *Server) DeleteUser(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.users, username)
	s.revokeFamilies(username)
}

// SignOut signs a user out like AdminUserGlobalSignOut of Cognito's API: it revokes all
// refresh tokens of the user. The sessions of the hosted pages continue.
func (s *Server) SignOut(username string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revokeFamilies(username)
}

// revokeFamilies revokes all logins of a user. The caller holds s.mu.
func (s *Server) revokeFamilies(username string) {
	for _, f := range s.families {
		if f.user.Username == username {
			f.revoked = true
		}
	}
}

// active returns the account if it exists and is not disabled. The caller holds s.mu.
func (s *Server) active(username string) (User, bool) {
	a := s.users[username]
	if a == nil || a.disabled {
		return User{}, false
	}
	return a.User, true
}
