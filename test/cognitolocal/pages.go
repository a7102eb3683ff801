package cognitolocal

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"cognito-token-handler/test/cognitolocal/hosted"
)

// sessionTime is how long the hosted pages know a user who has signed in, as at Cognito.
const sessionTime = time.Hour

// sessionCookie names the user to the passkey page. It is not sent to other paths, and never to the app, which is on the same host.
const sessionCookie = "hosted-session"

// requestFields are the parameters of an authorization request that the forms carry.
//
//nolint:gochecknoglobals // a constant
var requestFields = []string{"client_id", "redirect_uri", "response_type", "code_challenge", "code_challenge_method", "scope", "state"}

// authorization is a request of the app's, as its parameters came with the address or with a form.
type authorization struct {
	fields url.Values
	app    string // host of the app
}

// check returns the request of the parameters, or what is wrong with it. A login has a code challenge, since cognito-local demands one; the passkey page
// needs none.
func (f *front) check(parameters url.Values, login bool) (authorization, string) {
	request := authorization{fields: url.Values{}}
	for _, name := range requestFields {
		if parameters.Has(name) {
			request.fields.Set(name, parameters.Get(name))
		}
	}
	back := parameters.Get("redirect_uri")
	switch {
	case parameters.Get("client_id") != f.clientID:
		return request, "The client_id is missing or unknown."
	case !slices.Contains(f.callbackURLs, back):
		return request, fmt.Sprintf("The redirect_uri %q is not registered for this client. Registered are: %s", back, strings.Join(f.callbackURLs, ", "))
	case parameters.Get("response_type") != "code":
		return request, "The response_type must be code."
	case login && (parameters.Get("code_challenge") == "" || parameters.Get("code_challenge_method") != "S256"):
		return request, "The code_challenge is missing, or its method is not S256."
	}
	if u, err := url.Parse(back); err == nil {
		request.app = u.Host
	}
	return request, ""
}

// open serves a page that the app leads to.
func (f *front) open(name hosted.Name) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		request, fault := f.check(query, true)
		if fault != "" {
			hosted.Write(w, http.StatusBadRequest, hosted.Page{Name: hosted.Failed, Error: fault})
			return
		}
		f.show(w, request, hosted.Page{Name: name, Email: query.Get("login_hint")})
	}
}

func (f *front) show(w http.ResponseWriter, request authorization, page hosted.Page) {
	page.Request, page.App = request.fields, request.app
	if page.Name == hosted.SignIn {
		page.Action = cmp.Or(page.Action, "/oauth2/authorize")
		page.Users, page.Password = f.users, f.password
		if !page.Known && f.passkeys.exist() {
			page.Challenge = f.challenge()
		}
	}
	hosted.Write(w, http.StatusOK, page)
}

// readRequest reads a form of the pages. If it has none or a faulty one, it answers with an error and returns false.
func (f *front) readRequest(w http.ResponseWriter, r *http.Request, login bool) (form url.Values, request authorization, ok bool) {
	if form, ok = readForm(w, r); !ok {
		return nil, request, false
	}
	request, fault := f.check(form, login)
	if fault != "" {
		hosted.Write(w, http.StatusBadRequest, hosted.Page{Name: hosted.Failed, Error: fault})
		return nil, request, false
	}
	return form, request, true
}

// login is the form of the sign-in page.
func (f *front) login(w http.ResponseWriter, r *http.Request) {
	if form, request, ok := f.readRequest(w, r, true); ok {
		f.signIn(w, r, request, form.Get("username"), form.Get("password"))
	}
}

// errWrong is returned if the user does not exist, is disabled or not confirmed, or has another password.
var errWrong = errors.New("refused")

// signIn redirects the browser to the app with a code, or shows the page again.
func (f *front) signIn(w http.ResponseWriter, r *http.Request, request authorization, email, password string) {
	location, err := f.mint(r.Context(), request, email, password)
	switch {
	case err == nil:
		f.remember(w, email, password)
		http.Redirect(w, r, location, http.StatusFound)
	case !errors.Is(err, errWrong):
		hosted.Write(w, http.StatusInternalServerError, hosted.Page{Name: hosted.Failed, Error: "The user pool does not answer."})
	case f.unconfirmed(r.Context(), email):
		f.showConfirm(w, request, pending{email: email, password: password}, hosted.Page{Notice: "Your e-mail address is not confirmed yet."})
	default:
		f.show(w, request, hosted.Page{Name: hosted.SignIn, Email: email, Error: wrongPassword})
	}
}

// wrongPassword is what the page says to every wrong name or password.
const wrongPassword = "Incorrect username or password."

// mint lets cognito-local check the password, and returns the app's address with the code. cognito-local would let a disabled user in.
func (f *front) mint(ctx context.Context, request authorization, email, password string) (location string, err error) {
	if email == "" || password == "" {
		return "", errWrong
	}
	user, err := f.account(ctx, email)
	if errors.Is(err, errNoUser) || (err == nil && !user.Enabled) {
		return "", errWrong
	}
	if err != nil {
		return "", err
	}
	form := url.Values{"username": {email}, "password": {password}}
	maps.Copy(form, request.fields)
	answer, err := f.post(ctx, "/oauth2/authorize", form)
	switch {
	case err != nil:
		return "", err
	case answer.status == http.StatusFound:
		return answer.location, nil
	case answer.status == http.StatusOK:
		return "", errWrong
	default:
		return "", fmt.Errorf("asking cognito-local for a code: status %d: %s", answer.status, answer.body)
	}
}

// post sends a form to cognito-local.
func (f *front) post(ctx context.Context, path string, form url.Values) (page, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.backend.JoinPath(path).String(), strings.NewReader(form.Encode()))
	if err != nil {
		return page{}, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return fetch(f.client, request)
}

func (f *front) unconfirmed(ctx context.Context, email string) bool {
	user, err := f.account(ctx, email)
	return err == nil && user.Enabled && user.UserStatus == "UNCONFIRMED"
}

// remember lets the passkey page know the user, and a passkey sign the user in.
func (f *front) remember(w http.ResponseWriter, email, password string) {
	f.passkeys.signedIn(email, password)
	id := rand.Text()
	f.visits.keep(id, pending{email: email}, sessionTime)
	http.SetCookie(w, &http.Cookie{
		Name: sessionCookie, Value: id, Path: "/passkeys", MaxAge: int(sessionTime / time.Second), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
