package cognitolocal

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
	"unicode"

	"cognito-token-handler/test/cognitolocal/hosted"
)

// pending is somebody in the middle of the pages, or who has just signed in there.
type pending struct{ email, password string }

// memory keeps pending users by a random id.
type memory struct {
	mu      sync.Mutex
	entries map[string]pending // id → user
	ends    map[string]time.Time
}

func newMemory() *memory { return &memory{entries: map[string]pending{}, ends: map[string]time.Time{}} }

func (m *memory) keep(id string, entry pending, life time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for old, end := range m.ends {
		if time.Now().After(end) {
			delete(m.ends, old)
			delete(m.entries, old)
		}
	}
	m.entries[id], m.ends[id] = entry, time.Now().Add(life)
}

// find returns the user, or the zero pending.
func (m *memory) find(id string) pending {
	m.mu.Lock()
	defer m.mu.Unlock()
	if time.Now().After(m.ends[id]) {
		return pending{}
	}
	return m.entries[id]
}

// take forgets the entry, and reports whether it was there and still good.
func (m *memory) take(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	good := !time.Now().After(m.ends[id])
	delete(m.entries, id)
	delete(m.ends, id)
	return good
}

// confirmTime is how long a form for a code is good.
const confirmTime = 15 * time.Minute

// showConfirm shows the form for the code of a new user.
func (f *front) showConfirm(w http.ResponseWriter, request authorization, user pending, page hosted.Page) {
	id := rand.Text()
	f.visits.keep(id, user, confirmTime)
	page.Name, page.Email, page.Code, page.Hidden = hosted.Confirm, user.email, f.code, url.Values{"flow": {id}}
	f.show(w, request, page)
}

// signUp is the form of a new user.
func (f *front) signUp(w http.ResponseWriter, r *http.Request) {
	form, request, ok := f.readRequest(w, r, true)
	if !ok {
		return
	}
	user := pending{email: strings.TrimSpace(form.Get("username")), password: form.Get("password")}
	if fault := weakness(user.password); fault != "" {
		f.show(w, request, hosted.Page{Name: hosted.SignUp, Email: user.email, Error: fault})
		return
	}
	err := f.admin(r.Context(), "SignUp", map[string]any{
		"ClientId": f.clientID, "Username": user.email, "Password": user.password,
		"UserAttributes": []attribute{{Name: "email", Value: user.email}},
	}, nil)
	if err != nil {
		f.show(w, request, hosted.Page{Name: hosted.SignUp, Email: user.email, Error: explain(err)})
		return
	}
	f.showConfirm(w, request, user, hosted.Page{})
}

// confirm is the form with a new user's code.
func (f *front) confirm(w http.ResponseWriter, r *http.Request) {
	form, request, ok := f.readRequest(w, r, true)
	if !ok {
		return
	}
	user := f.visits.find(form.Get("flow"))
	if user.email == "" {
		f.show(w, request, hosted.Page{Name: hosted.SignIn, Error: "That took too long. Sign in, and you get the form for the code again."})
		return
	}
	err := f.admin(r.Context(), "ConfirmSignUp", map[string]any{
		"ClientId": f.clientID, "Username": user.email, "ConfirmationCode": codeOf(form),
	}, nil)
	if err != nil {
		f.showConfirm(w, request, user, hosted.Page{Error: explain(err)})
		return
	}
	err = f.admin(r.Context(), "AdminUpdateUserAttributes", map[string]any{
		"UserPoolId": PoolID, "Username": user.email, "UserAttributes": []attribute{
			{Name: "email", Value: user.email}, {Name: "email_verified", Value: "true"},
		},
	}, nil)
	if err != nil {
		hosted.Write(w, http.StatusInternalServerError, hosted.Page{Name: hosted.Failed, Error: explain(err)})
		return
	}
	f.signIn(w, r, request, user.email, user.password)
}

// forgot is the form of somebody who needs a code for a new password. It shows the same page whether the user exists or not.
func (f *front) forgot(w http.ResponseWriter, r *http.Request) {
	form, request, ok := f.readRequest(w, r, true)
	if !ok {
		return
	}
	email := strings.TrimSpace(form.Get("username"))
	err := f.admin(r.Context(), "ForgotPassword", map[string]any{"ClientId": f.clientID, "Username": email}, nil)
	if err != nil && !errors.Is(err, errNoUser) {
		f.show(w, request, hosted.Page{Name: hosted.Forgot, Email: email, Error: explain(err)})
		return
	}
	f.showReset(w, request, email, "")
}

func (f *front) showReset(w http.ResponseWriter, request authorization, email, fault string) {
	f.show(w, request, hosted.Page{
		Name: hosted.Reset, Email: email, Error: fault, Code: f.code, Hidden: url.Values{"username": {email}},
	})
}

// reset is the form with the code and the new password.
func (f *front) reset(w http.ResponseWriter, r *http.Request) {
	form, request, ok := f.readRequest(w, r, true)
	if !ok {
		return
	}
	email, password := form.Get("username"), form.Get("password")
	fault := weakness(password)
	if fault == "" {
		err := f.admin(r.Context(), "ConfirmForgotPassword", map[string]any{
			"ClientId": f.clientID, "Username": email, "ConfirmationCode": codeOf(form), "Password": password,
		}, nil)
		fault = explain(err)
	}
	if fault != "" {
		f.showReset(w, request, email, fault)
		return
	}
	f.signIn(w, r, request, email, password)
}

func codeOf(form url.Values) string { return strings.ReplaceAll(form.Get("code"), " ", "") }

// weakness says what Cognito's default policy misses in a password; "" if nothing.
func weakness(password string) string {
	var missing []string
	has := func(what string, is func(rune) bool) {
		if !strings.ContainsFunc(password, is) {
			missing = append(missing, what)
		}
	}
	if len([]rune(password)) < 8 {
		missing = append(missing, "at least 8 characters")
	}
	has("a lower-case letter", unicode.IsLower)
	has("an upper-case letter", unicode.IsUpper)
	has("a digit", unicode.IsDigit)
	has("a symbol", func(c rune) bool { return strings.ContainsRune("^$*.[]{}()?-\"!@#%&/\\,><':;|_~`+= ", c) })
	switch last := len(missing) - 1; last {
	case -1:
		return ""
	case 0:
		return "The password still needs " + missing[0] + "."
	default:
		return "The password still needs " + strings.Join(missing[:last], ", ") + " and " + missing[last] + "."
	}
}

// explain returns what the page says about a refusal; "" for no error.
func explain(err error) string {
	if err == nil {
		return ""
	}
	var fault *refusalError
	if !errors.As(err, &fault) {
		if errors.Is(err, errNoUser) {
			return "The code is wrong."
		}
		return "The user pool does not answer."
	}
	texts := map[string]string{
		"UsernameExistsException": "An account with this e-mail address exists. Sign in, or set a new password.",
		"CodeMismatchException":   "The code is wrong.",
		"ExpiredCodeException":    "The code is used. Sign in.",
	}
	if text := texts[fault.Type]; text != "" {
		return text
	}
	return "The user pool refused that: " + fault.Message
}
