package valkey

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/valkey-io/valkey-go"
)

// iamUser is a user of Amazon ElastiCache who logs in with tokens that AWS
// credentials sign instead of a password. See "Authenticating with IAM" in the
// Amazon ElastiCache User Guide.
type iamUser struct {
	// user is the user's name, which must be the same as the user's id.
	user string
	// cache is the name of the serverless cache, or the id of the replication group.
	cache      string
	region     string
	serverless bool
	// credentials sign the tokens. They need the permission elasticache:Connect.
	credentials aws.CredentialsProvider
	now         func() time.Time
}

const (
	// tokenLifetime is how long the server accepts a token: 15 minutes, says AWS.
	tokenLifetime = 15 * time.Minute
	// loginAgainAfter is when a connection logs in again. ElastiCache closes a
	// connection 12 hours after its last login.
	loginAgainAfter = time.Hour
	// tokenTimeout bounds the wait for AWS credentials.
	tokenTimeout = time.Second
)

var errCredentials = errors.New("no AWS credentials to log in with")

// token returns a new token: a presigned request that is never sent, without its
// scheme.
func (u *iamUser) token(ctx context.Context) (string, error) {
	credentials, err := u.credentials.Retrieve(ctx)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errCredentials, err)
	}
	query := url.Values{
		"Action": {"connect"}, "User": {u.user},
		"X-Amz-Expires": {fmt.Sprint(int(tokenLifetime.Seconds()))},
	}
	if u.serverless {
		query.Set("ResourceType", "ServerlessCache")
	}
	const scheme = "http://"
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+u.cache+"/?"+query.Encode(), http.NoBody)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errCredentials, err)
	}
	emptyHash := sha256.Sum256(nil)
	signed, _, err := v4.NewSigner().PresignHTTP(ctx, credentials, request, hex.EncodeToString(emptyHash[:]), "elasticache", u.region, u.now())
	if err != nil {
		return "", fmt.Errorf("%w: %w", errCredentials, err)
	}
	return strings.TrimPrefix(signed, scheme), nil
}

// login returns the user and a new token for each connection, and says when to log
// in again.
func (u *iamUser) login(ctx context.Context) func(valkey.AuthCredentialsContext) (valkey.AuthCredentials, error) {
	return func(valkey.AuthCredentialsContext) (valkey.AuthCredentials, error) {
		ctx, cancel := context.WithTimeout(ctx, tokenTimeout)
		defer cancel()
		token, err := u.token(ctx)
		if err != nil {
			return valkey.AuthCredentials{}, err
		}
		return valkey.AuthCredentials{Username: u.user, Password: token, RefreshAfter: u.now().Add(loginAgainAfter)}, nil
	}
}
