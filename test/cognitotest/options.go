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
	PublicClient bool     // the client has no secret and sends client_id in the body
	CallbackURLs []string // compared exactly; see also [Server.AllowCallback]
	LogoutURLs   []string // compared exactly; see also [Server.AllowLogout]
	Scopes       []string // in addition to Cognito's own, e.g. "api/read"

	AccessTTL  time.Duration // of access and ID tokens; default 1h
	RefreshTTL time.Duration // default 30 days; rotation never extends it
	CodeTTL    time.Duration // default 5m

	Rotation            bool          // each refresh answers with a new refresh token
	RotationGrace       time.Duration // how long the old one is still accepted; default 0, as Cognito's
	RevokeFamilyOnReuse bool          // reuse after the grace period revokes the new tokens as well
	NonceOnRefresh      bool          // refreshed ID tokens repeat the nonce, as in some of Cognito's flows
	NoRevocation        bool          // as if EnableTokenRevocation were off: /oauth2/revoke answers with an error
	SingleKey           bool          // one key in the JWKS signs ID and access tokens
	OpenID              bool          // a standard OpenID provider and not Cognito: RP-initiated logout, sid in ID tokens

	Users     []User // the hosted UI logs in the first one; default [DefaultUser]
	LoginForm bool   // the hosted UI shows a form instead of logging in at once

	IDTokenSize      int // minimum in bytes, reached by padding with random text; default no padding
	AccessTokenSize  int // as IDTokenSize
	RefreshTokenSize int // in bytes, rounded to a possible size of a JWE; default 1,580

	// MaxRPS limits the requests per second, by Clock, to the token, revocation and
	// userInfo endpoints and the API together. Requests above the limit are answered with
	// [RateExceeded]. (Cognito has a limit for each category of operations; see "Quotas in
	// Amazon Cognito".) Default: no limit.
	MaxRPS int

	Clock func() time.Time // default time.Now
}

// The defaults of Options.
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
	Attributes map[string]any // additional claims of the ID token, e.g. "custom:tenant"
}

// DefaultPassword is the password of users without a Password.
const DefaultPassword = "Demo-Passw0rd!"

// DefaultUser returns the account of a pool without Options.Users.
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
