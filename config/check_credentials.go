package config

import (
	"fmt"
	"strings"
)

// The values of storage.credentials.
const (
	credentialsService       = "service"
	credentialsSessionPolicy = "session_policy"
	credentialsWebIdentity   = "web_identity"
	credentialsIdentityPool  = "identity_pool"
)

// NeedsIDToken reports whether the user's AWS credentials are got with the ID token.
func (s Storage) NeedsIDToken() bool {
	return s.Bucket != "" && (s.Credentials == credentialsWebIdentity || s.Credentials == credentialsIdentityPool)
}

// checkKind checks that the keys beside storage.credentials belong to its value.
func (l *loader) checkKind(s *Storage) {
	if !l.valid("storage.credentials") {
		return
	}
	for _, key := range []struct{ name, value, fix string }{
		{"storage.role_arn", s.RoleARN, "write the ARN of the role to assume"},
		{"storage.identity_pool_id", s.IdentityPoolID, "write the id of the identity pool"},
	} {
		belongs := s.Credentials == credentialsIdentityPool
		if key.name == "storage.role_arn" {
			belongs = s.Credentials == credentialsSessionPolicy || s.Credentials == credentialsWebIdentity
		}
		switch {
		case !l.valid(key.name):
		case belongs && key.value == "":
			l.fault(key.name, "is missing with storage.credentials: "+s.Credentials, key.fix)
		case !belongs && l.isSet(key.name):
			l.fault(key.name, "is set, but storage.credentials is "+s.Credentials, "remove it, or write another storage.credentials")
		}
	}
}

// riskIssuerOfStorage finds ID tokens that AWS cannot verify.
func (l *loader) riskIssuerOfStorage(c *Config) {
	if c.Storage.NeedsIDToken() && l.valid("provider.issuer") && !strings.HasPrefix(c.Provider.Issuer, "https://") {
		l.warn("storage.credentials", "is "+c.Storage.Credentials+", but AWS fetches the provider's keys over https only, and not from "+quote(c.Provider.Issuer),
			"use a user pool at AWS, or storage.credentials: session_policy")
	}
}

// riskSharedIDToken finds APIs that could assume the role of the storage: without the
// policy that this service adds, it reaches the folders of all users.
func (l *loader) riskSharedIDToken(c *Config) {
	if c.Storage.Bucket == "" || c.Storage.Credentials != credentialsWebIdentity {
		return
	}
	for i := range c.API.Routes {
		if c.API.Routes[i].Token == "id" {
			l.warn(fmt.Sprintf("api.routes[%d].token", i), "is id, and with storage.credentials: web_identity an API that has a user's ID token can read all users' files",
				"write access, or storage.credentials: session_policy, unless you trust that API with them")
		}
	}
}
