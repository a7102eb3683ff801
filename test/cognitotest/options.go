package cognitotest

import (
	"maps"
	"slices"
	"time"
)

// Options describes the pool and its one app client. The zero value is a
// confidential client with [DefaultSecret], no rotation and one user.
type Options struct {
	ClientID     string   // default [DefaultClientID]
	Secrets      []string // every one of them is accepted; default [DefaultSecret]
	PublicClient bool     // no secret at all: client_id in the body
	CallbackURLs []string // compared exactly; see also [Server.AllowCallback]
	LogoutURLs   []string // compared exactly; see also [Server.AllowLogout]
	Scopes       []string // beyond Cognito's own, e.g. "api/read"

	AccessTTL  time.Duration // of access and ID tokens; default 1h
	RefreshTTL time.Duration // default 30 days; rotation never extends it
	CodeTTL    time.Duration // default 5m

	Rotation            bool          // each refresh answers with a new refresh token
	RotationGrace       time.Duration // how long the old one still works; default 0, as Cognito's
	RevokeFamilyOnReuse bool          // a reuse after the grace kills the successors too
	NonceOnRefresh      bool          // refreshed ID tokens repeat the nonce, as in some of Cognito's flows
	NoRevocation        bool          // EnableTokenRevocation is off: /oauth2/revoke refuses
	SingleKey           bool          // one key in the JWKS signs ID and access tokens
	OpenID              bool          // no Cognito but a plain OpenID provider: RP-initiated logout, sid in ID tokens

	Users     []User // the first one is logged in by the hosted UI; default [DefaultUser]
	LoginForm bool   // the hosted UI shows a form instead of logging in at once

	IDTokenSize      int // bytes at least, padded with random text; default as the claims make it
	AccessTokenSize  int // as IDTokenSize
	RefreshTokenSize int // bytes, rounded to what a JWE can have; default 1,580

	// MaxRPS is how many requests in any second the token, revocation and userInfo
	// endpoints and the API take together; the others get [RateExceeded]. Cognito
	// counts them apart (A.9), by a clock that goes on: see Clock. Default: all.
	MaxRPS int

	Clock func() time.Time // default time.Now
}

// What the zero Options use.
const (
	DefaultClientID = "1example23456789abcdefghij"
	DefaultSecret   = "cognitotest-client-secret-51f0c2b7a9"
	PoolID          = "us-east-1_TestPool"
)

// User is an account of the pool.
type User struct {
	Username   string
	Sub        string // default derived from Username
	Password   string // for the form; default [DefaultPassword]
	Email      string // default Username@example.com, always verified
	Name       string
	Groups     []string
	Attributes map[string]any // further claims of the ID token, e.g. "custom:tenant"
}

// DefaultPassword is the password of users that name none.
const DefaultPassword = "Demo-Passw0rd!"

// DefaultUser is the account of a pool whose Options name none.
func DefaultUser() User {
	return User{
		Username: "demo", Email: "demo@example.com", Name: "Demo User",
		Groups: []string{"readers", "writers"},
	}
}

func (u User) withDefaults() User {
	if u.Sub == "" {
		u.Sub = uuidFrom(newStream("user " + u.Username))
	}
	if u.Password == "" {
		u.Password = DefaultPassword
	}
	if u.Email == "" {
		u.Email = u.Username + "@example.com"
	}
	u.Groups = slices.Clone(u.Groups)
	u.Attributes = maps.Clone(u.Attributes)
	return u
}

func (o Options) withDefaults() Options {
	if o.ClientID == "" {
		o.ClientID = DefaultClientID
	}
	if len(o.Secrets) == 0 {
		o.Secrets = []string{DefaultSecret}
	}
	if o.PublicClient {
		o.Secrets = nil
	}
	o.AccessTTL = positiveOr(o.AccessTTL, time.Hour)
	o.RefreshTTL = positiveOr(o.RefreshTTL, 30*24*time.Hour)
	o.CodeTTL = positiveOr(o.CodeTTL, 5*time.Minute)
	if o.RefreshTokenSize <= 0 {
		o.RefreshTokenSize = refreshTokenSize
	}
	if len(o.Users) == 0 {
		o.Users = []User{DefaultUser()}
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	o.CallbackURLs, o.LogoutURLs = slices.Clone(o.CallbackURLs), slices.Clone(o.LogoutURLs)
	o.Scopes = append([]string{"openid", "email", "phone", "profile", "aws.cognito.signin.user.admin"}, o.Scopes...)
	return o
}

func positiveOr(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}
