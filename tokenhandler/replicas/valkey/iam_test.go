package valkey_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/tokenhandler/replicas/valkey"
)

func awsKeys(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "AKIDEXAMPLE", SecretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", SessionToken: "session"}, nil
}

// TestToken compares a token with the parts that "Authenticating with IAM" in the Amazon ElastiCache User Guide names. The
// signatures were computed from the specification of Signature Version 4 by a program in another language.
func TestToken(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for address, c := range map[string]struct{ resource, signature string }{
		"rediss://app@cache?iam=true&cache=my-cache&region=eu-central-1": {"", "21f341c6fd7f6b3ce89ef4846a6753c23b4e8838f457073dd7887f1090c5d583"},
		"rediss://app@cache?iam=true&cache=my-cache&region=eu-central-1&serverless=true": {
			"ServerlessCache", "7e14c32373ab5ae78d081c363f51c0edc9c26fe51e907f64ab4bd358222e5d3b",
		},
	} {
		token, err := valkey.Token(t.Context(), address, aws.CredentialsProviderFunc(awsKeys), now)
		if err != nil {
			t.Fatal(err)
		}
		query, found := strings.CutPrefix(token, "my-cache/?")
		if !found {
			t.Errorf("token = %s", token)
		}
		got, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		want := url.Values{
			"Action": {"connect"}, "User": {"app"},
			"X-Amz-Algorithm": {"AWS4-HMAC-SHA256"}, "X-Amz-Date": {"20260102T030405Z"}, "X-Amz-Expires": {"900"},
			"X-Amz-Credential":     {"AKIDEXAMPLE/20260102/eu-central-1/elasticache/aws4_request"},
			"X-Amz-Security-Token": {"session"}, "X-Amz-SignedHeaders": {"host"}, "X-Amz-Signature": {c.signature},
		}
		if c.resource != "" {
			want.Set("ResourceType", c.resource)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", address, diff)
		}
	}
}

func TestTokenWithoutCredentials(t *testing.T) {
	broken := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("no role")
	})
	token, err := valkey.Token(t.Context(), "rediss://app@cache?iam=true&cache=c&region=eu-central-1", broken, time.Now())
	if err == nil || token != "" || !strings.Contains(err.Error(), "no AWS credentials to log in with") {
		t.Errorf("Token = %q, %v", token, err)
	}
}
