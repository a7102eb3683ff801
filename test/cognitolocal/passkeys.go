package cognitolocal

import (
	"crypto/x509"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"sync"

	"cognito-token-handler/test/cognitolocal/hosted"
)

// passkeys are the credentials that users have added.
type passkeys struct {
	mu        sync.Mutex
	keys      map[string]passkey // id → credential
	passwords map[string]string  // e-mail address → what the user signed in with last: cognito-local gives no code without it
}

// passkey is the public half of a credential.
type passkey struct {
	email string
	key   any // *ecdsa.PublicKey or *rsa.PublicKey
}

func newPasskeys() *passkeys {
	return &passkeys{keys: map[string]passkey{}, passwords: map[string]string{}}
}

func (p *passkeys) add(id string, added passkey) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys[id] = added
}

func (p *passkeys) of(email string) (ids []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, key := range p.keys {
		if key.email == email {
			ids = append(ids, id)
		}
	}
	return ids
}

func (p *passkeys) exist() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.keys) > 0
}

// find returns the passkey, and the password of its user.
func (p *passkeys) find(id string) (found passkey, password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found = p.keys[id]
	return found, p.passwords[found.email]
}

func (p *passkeys) signedIn(email, password string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.passwords[email] = password
}

// Passkeys returns the ids of the passkeys that the user has added.
func (p *Pool) Passkeys(email string) []string { return p.front.passkeys.of(email) }

// visitor returns who has signed in at the hosted pages with this browser; "" if nobody has.
func (f *front) visitor(r *http.Request) string {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	return f.visits.find(cookie.Value).email
}

// openPasskeys shows the page where a user adds a passkey. Who has not signed in here does that first.
func (f *front) openPasskeys(w http.ResponseWriter, r *http.Request) {
	request, fault := f.check(r.URL.Query(), false)
	if fault != "" {
		hosted.Write(w, http.StatusBadRequest, hosted.Page{Name: hosted.Failed, Error: fault})
		return
	}
	f.showPasskeys(w, request, f.visitor(r))
}

func (f *front) showPasskeys(w http.ResponseWriter, request authorization, email string) {
	if email == "" {
		f.showPasskeyLogin(w, request, hosted.Page{Notice: "Sign in to add a passkey."})
		return
	}
	f.show(w, request, hosted.Page{Name: hosted.Passkey, Email: email, Back: request.fields.Get("redirect_uri")})
}

// showPasskeyLogin shows the sign-in page before the passkey page. A new account or a new password ends in a login, for which this request has
// no code challenge.
func (f *front) showPasskeyLogin(w http.ResponseWriter, request authorization, page hosted.Page) {
	page.Name, page.Action, page.Known = hosted.SignIn, "/passkeys/login", true
	f.show(w, request, page)
}

// loginForPasskeys is the form of the sign-in page before the passkey page. The code that cognito-local gives is not used.
func (f *front) loginForPasskeys(w http.ResponseWriter, r *http.Request) {
	form, request, ok := f.readRequest(w, r, false)
	if !ok {
		return
	}
	email := form.Get("username")
	attempt := authorization{fields: maps.Clone(request.fields)}
	attempt.fields.Set("code_challenge", "unused")
	attempt.fields.Set("code_challenge_method", "S256")
	_, err := f.mint(r.Context(), attempt, email, form.Get("password"))
	switch {
	case errors.Is(err, errWrong):
		f.showPasskeyLogin(w, request, hosted.Page{Email: email, Error: wrongPassword})
	case err != nil:
		hosted.Write(w, http.StatusInternalServerError, hosted.Page{Name: hosted.Failed, Error: "The user pool does not answer."})
	default:
		f.remember(w, email, form.Get("password"))
		f.showPasskeys(w, request, email)
	}
}

// addPasskey is the form with the id and the public key (SubjectPublicKeyInfo) of the passkey that the browser has made.
func (f *front) addPasskey(w http.ResponseWriter, r *http.Request) {
	form, request, ok := f.readRequest(w, r, false)
	if !ok {
		return
	}
	email := f.visitor(r)
	der, err := base64.StdEncoding.DecodeString(form.Get("key"))
	if email == "" || form.Get("credential") == "" || err != nil {
		f.showPasskeys(w, request, email)
		return
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		f.showPasskeys(w, request, email)
		return
	}
	f.passkeys.add(form.Get("credential"), passkey{email: email, key: key})
	http.Redirect(w, r, request.fields.Get("redirect_uri"), http.StatusFound)
}
