//go:build e2e

package cognitolocal_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// publicKey returns what a browser's getPublicKey gives, in Base64.
func publicKey(t *testing.T, key *ecdsa.PrivateKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(der)
}

// wantPasskeySignIn signs in with the passkey of the demo user, after attempts that must fail.
func (p party) wantPasskeySignIn(v *visitor, key *ecdsa.PrivateKey) {
	v.t.Helper()
	page, err := url.Parse(p.pool.URL)
	if err != nil {
		v.t.Fatal(err)
	}
	var used string // the challenge of the attempt before
	for _, attempt := range []struct {
		id, origin string
		key        *ecdsa.PrivateKey
		edit       func(challenge string) string
		want       string
	}{
		{id: "another", want: "nobody here has added it"},
		{key: newKey(v.t), want: "its signature is wrong"},
		{origin: "http://evil.example", want: "it was used for another site"},
		{edit: func(string) string { return used }, want: "this page was open for too long, or is used already"},
		{edit: func(string) string { return "of another page" }, want: "this page was open for too long, or is used already"},
		{},
	} {
		v.open(p.authorizeURL())
		v.want("Sign in with a passkey")
		challenge := regexp.MustCompile(`data-challenge="([^"]+)"`).FindStringSubmatch(v.body)[1]
		if attempt.edit != nil {
			challenge = attempt.edit(challenge)
		}
		id, origin, signer := "id-of-a-passkey", page.Scheme+"://"+page.Host, key
		if attempt.id != "" {
			id = attempt.id
		}
		if attempt.origin != "" {
			origin = attempt.origin
		}
		if attempt.key != nil {
			signer = attempt.key
		}
		v.submitPasskey(id, origin, challenge, signer)
		used = challenge
		if attempt.want != "" {
			v.want("The passkey is not accepted: " + attempt.want + ".")
		}
	}
	v.wantLogin(p)
}

// submitPasskey sends what an authenticator signs for a page of the origin.
func (v *visitor) submitPasskey(id, origin, challenge string, key *ecdsa.PrivateKey) {
	v.t.Helper()
	client, err := json.Marshal(map[string]string{
		"type": "webauthn.get", "origin": origin, "challenge": base64.RawURLEncoding.EncodeToString([]byte(challenge)),
	})
	if err != nil {
		v.t.Fatal(err)
	}
	from, err := url.Parse(origin)
	if err != nil {
		v.t.Fatal(err)
	}
	site, clientHash := sha256.Sum256([]byte(from.Hostname())), sha256.Sum256(client)
	authenticator := slices.Concat(site[:], []byte{1, 0, 0, 0, 0})
	hash := sha256.Sum256(slices.Concat(authenticator, clientHash[:]))
	signature, err := ecdsa.SignASN1(rand.Reader, key, hash[:])
	if err != nil {
		v.t.Fatal(err)
	}
	form := url.Values{"credential": {id}}
	for _, field := range regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]+)"`).FindAllStringSubmatch(v.body, -1) {
		form.Set(field[1], field[2])
	}
	for name, value := range map[string][]byte{"client_data": client, "authenticator_data": authenticator, "signature": signature} {
		form.Set(name, base64.StdEncoding.EncodeToString(value))
	}
	request, err := http.NewRequestWithContext(v.t.Context(), http.MethodPost, v.at.Scheme+"://"+v.at.Host+"/passkeys/signin", strings.NewReader(form.Encode()))
	if err == nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	v.do(request, err)
}
