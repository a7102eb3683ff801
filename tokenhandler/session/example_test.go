package session_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// A login writes a session, the next request reads it, and a logout removes it.
func ExampleStore() {
	keys, err := seal.NewKeyring([][]byte{[]byte("a key of 32 bytes, for this test")})
	if err != nil {
		fmt.Println(err)
		return
	}
	store := session.NewStore(session.Config{
		Keys: keys, Names: session.NewNames("session", false),
		IdleTimeout: time.Hour, AbsoluteLifetime: 12 * time.Hour, Now: time.Now,
	})

	login := func(w http.ResponseWriter, r *http.Request) {
		gs, _ := store.Get(r, store.Session) // what the browser has is replaced
		gs.Values[session.Key] = store.Begin(secret.Tokens{
			Subject: "ada", Access: secret.New("an access token"), AccessExpires: time.Now().Add(time.Hour),
			Refresh: secret.New("a refresh token"),
		}, time.Now())
		if err := gs.Save(r, w); err != nil {
			fmt.Println(err)
		}
	}
	whoami := func(w http.ResponseWriter, r *http.Request) {
		gs, err := store.Get(r, store.Session)
		if s, ok := gs.Values[session.Key].(*session.Session); ok {
			_, _ = fmt.Fprintln(w, s.Subject)
			return
		}
		_, _ = fmt.Fprintln(w, "nobody", err)
	}
	logout := func(w http.ResponseWriter, r *http.Request) {
		gs, _ := store.Get(r, store.Session)
		gs.Options.MaxAge = -1
		if err := gs.Save(r, w); err != nil {
			fmt.Println(err)
		}
	}

	w := httptest.NewRecorder()
	login(w, httptest.NewRequest(http.MethodGet, "/", nil))
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	for _, c := range w.Result().Cookies() {
		if c.MaxAge >= 0 {
			r.AddCookie(c)
		}
	}
	w = httptest.NewRecorder()
	whoami(w, r)
	fmt.Print(w.Body)
	w = httptest.NewRecorder()
	logout(w, r)
	fmt.Println(strings.Join(w.Header()["Set-Cookie"], "\n"))
	// Output:
	// ada
	// __Host-Http-session=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict
	// __Host-Http-active=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Strict
}
