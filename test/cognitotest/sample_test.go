package cognitotest_test

import (
	"strings"
	"testing"

	"cognito-token-handler/test/cognitotest"
)

func TestTokensHaveTheUsualSizes(t *testing.T) {
	id, access, refresh := cognitotest.Tokens(cognitotest.TokenOptions{})
	for _, c := range []struct {
		name, token string
		want, parts int
	}{
		{"id", id, 1517, 3},
		{"access", access, 1175, 3},
		{"refresh", refresh, 1580, 5},
	} {
		if got := len(c.token); got < c.want-15 || got > c.want+15 {
			t.Errorf("%s token has %d bytes, want about %d", c.name, got, c.want)
		}
		if got := strings.Count(c.token, ".") + 1; got != c.parts {
			t.Errorf("%s token has %d parts, want %d", c.name, got, c.parts)
		}
	}
}

func TestTokensRepeatForASeed(t *testing.T) {
	id, access, refresh := cognitotest.Tokens(cognitotest.TokenOptions{Seed: 7})
	id2, access2, refresh2 := cognitotest.Tokens(cognitotest.TokenOptions{Seed: 7})
	if id != id2 || access != access2 || refresh != refresh2 {
		t.Error("the same seed made other tokens")
	}
	id3, access3, refresh3 := cognitotest.Tokens(cognitotest.TokenOptions{Seed: 8})
	if id == id3 || access == access3 || refresh == refresh3 {
		t.Error("another seed made the same tokens")
	}
}

func TestTokensGrowToTheSizeAskedFor(t *testing.T) {
	for _, size := range []int{1600, 1601, 1602, 1603, 3000, 6000} {
		id, access, refresh := cognitotest.Tokens(cognitotest.TokenOptions{
			IDTokenSize: size, AccessTokenSize: size, RefreshTokenSize: size,
		})
		for name, token := range map[string]string{"id": id, "access": access} {
			if got := len(token); got < size || got > size+4 {
				t.Errorf("%s token of at least %d bytes has %d", name, size, got)
			}
		}
		if got := len(refresh); got < size-1 || got > size {
			t.Errorf("refresh token of %d bytes has %d", size, got)
		}
	}
}
