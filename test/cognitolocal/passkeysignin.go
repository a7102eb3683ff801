package cognitolocal

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"

	"cognito-token-handler/test/cognitolocal/hosted"
)

// challenge returns what a passkey signs next.
func (f *front) challenge() string {
	text := rand.Text()
	f.challenges.keep(text, pending{}, confirmTime)
	return text
}

// signInWithPasskey is the form with what a passkey has signed.
func (f *front) signInWithPasskey(w http.ResponseWriter, r *http.Request) {
	form, request, ok := f.readRequest(w, r, true)
	if !ok {
		return
	}
	used, password := f.passkeys.find(form.Get("credential"))
	if err := f.verify(used, form, r.Host); err != nil {
		f.show(w, request, hosted.Page{Name: hosted.SignIn, Error: "The passkey is not accepted: " + err.Error() + "."})
		return
	}
	f.signIn(w, r, request, used.email, password)
}

// The faults of what a passkey has signed.
var (
	errUnknown   = errors.New("nobody here has added it")
	errChallenge = errors.New("this page was open for too long, or is used already")
	errElsewhere = errors.New("it was used for another site")
	errUnsigned  = errors.New("its signature is wrong")
)

// verify checks an assertion that was made for a page of the host (WebAuthn section 7.2).
func (f *front) verify(used passkey, form url.Values, host string) error {
	clientData, _ := base64.StdEncoding.DecodeString(form.Get("client_data"))
	authenticator, _ := base64.StdEncoding.DecodeString(form.Get("authenticator_data"))
	signature, _ := base64.StdEncoding.DecodeString(form.Get("signature"))
	var client struct{ Type, Challenge, Origin string }
	if err := json.Unmarshal(clientData, &client); err != nil || used.key == nil {
		return errUnknown
	}
	challenge, _ := base64.RawURLEncoding.DecodeString(client.Challenge)
	origin, err := url.Parse(client.Origin)
	switch {
	case !f.challenges.take(string(challenge)):
		return errChallenge
	case client.Type != "webauthn.get" || err != nil || origin.Host != host || !present(authenticator, origin.Hostname()):
		return errElsewhere
	}
	hash := sha256.Sum256(clientData)
	if !signed(used.key, slices.Concat(authenticator, hash[:]), signature) {
		return errUnsigned
	}
	return nil
}

// present reports whether the authenticator's data is for the host, and says that a user was there.
func present(data []byte, host string) bool {
	const flags, userPresent = sha256.Size, 1
	site := sha256.Sum256([]byte(host))
	return len(data) > flags && bytes.HasPrefix(data, site[:]) && data[flags]&userPresent != 0
}

func signed(key any, message, signature []byte) bool {
	hash := sha256.Sum256(message)
	switch key := key.(type) {
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, hash[:], signature)
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, hash[:], signature) == nil
	default:
		return false
	}
}
