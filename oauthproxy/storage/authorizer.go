package storage

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cognito-token-handler/tokenhandler/secret"
)

// Authorizer says who makes a request. It may be called concurrently, and must not
// write a response.
type Authorizer interface {
	// Authorize returns an error if there is no session, if it has expired or was
	// revoked, or if its tokens cannot be refreshed now. The error is a *web.Problem,
	// which is the response. The Grant is valid for r only.
	Authorize(r *http.Request) (Grant, error)
}

// Grant is the permission to use the folder of one user.
type Grant interface {
	User

	// Commit adds the session's cookies to the response's header. It is called once,
	// right before the header is written, also when the request is refused: if the
	// tokens were refreshed, the browser must get the new cookies in any case.
	Commit(h http.Header)
}

// User is the user who makes a request. Only the request's goroutine may call its
// methods, except Watch.
type User interface {
	// Subject returns the user's stable id at the provider. It is NOT trusted to be a
	// safe path segment: this package checks it before it uses it in a key.
	Subject() string
	// SessionID returns the session's id as logs show it. It is no secret.
	SessionID() string
	// IDToken returns the user's newest ID token, which may have expired. It is empty if
	// the session does not keep it.
	IDToken() secret.String
	// Renew gets new tokens because the ID token was refused. The error is a *web.Problem
	// if the session has ended.
	Renew(ctx context.Context) error
	// Watch returns a context that ends with ctx, or when the session ends. The caller
	// must end ctx. Any goroutine may call it.
	Watch(ctx context.Context) context.Context
}

// Credentials says with which AWS credentials the requests of a user are made and
// signed. It may be called concurrently.
type Credentials interface {
	// For returns credentials for a user. It is called for every request, so it must
	// cache them, and it must return when ctx ends, which is after 10 seconds. An error
	// that is a *web.Problem is the response; any other becomes upstream_error.
	For(ctx context.Context, user User) (aws.Credentials, error)
}

// ServiceCredentials are the same credentials for all users: those of the service. What
// keeps the users apart is then this package alone. The provider must cache, as that of
// config.LoadDefaultConfig does.
type ServiceCredentials struct{ Provider aws.CredentialsProvider }

// For implements [Credentials].
func (s ServiceCredentials) For(ctx context.Context, _ User) (aws.Credentials, error) {
	return s.Provider.Retrieve(ctx)
}

var _ Credentials = ServiceCredentials{}
