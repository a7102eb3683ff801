package refresh_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"time"

	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
)

// exampleProvider gives the same tokens for every refresh token.
type exampleProvider struct{}

func (exampleProvider) Refresh(context.Context, secret.Tokens) (secret.Tokens, error) {
	return secret.Tokens{Access: secret.New("new access token"), AccessExpires: time.Now().Add(time.Hour)}, nil
}

// Example opens the session of a request, refreshes its access token, and writes the
// new cookie to the response.
func Example() {
	keys, err := seal.NewKeyring([][]byte{bytes.Repeat([]byte{1}, seal.KeySize)})
	if err != nil {
		fmt.Println(err)
		return
	}
	store := session.NewStore(session.Config{
		Keys: keys, Names: session.NewNames("session", false), IdleTimeout: time.Hour, AbsoluteLifetime: 12 * time.Hour, Now: time.Now,
	})
	manager := refresh.NewManager(refresh.Config{
		Store: store, Refresher: exampleProvider{}, Denied: memory.New(time.Now), RefreshBefore: time.Minute,
		RefreshGrace: 30 * time.Second, RefreshTimeout: 10 * time.Second, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	login := httptest.NewRecorder()
	_, _ = begin(store, login.Header(), secret.Tokens{
		Access: secret.New("old access token"), AccessExpires: time.Now(), Refresh: secret.New("refresh token"), Subject: "user",
	}, time.Now())

	request := httptest.NewRequest(http.MethodGet, "/api/notes", nil)
	for _, cookie := range login.Result().Cookies() {
		if cookie.Value != "" { // an empty one removes what an earlier session left
			request.AddCookie(cookie)
		}
	}
	current, err := manager.Open(request)
	if err != nil {
		fmt.Println(err) // one of the reasons why a request has no session
		return
	}
	fmt.Println(current.Session.Access.Reveal())
	if err := current.Refresh(request.Context(), refresh.IfDue); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(current.Session.Access.Reveal())
	response := httptest.NewRecorder()
	current.Commit(response)
	fmt.Println(len(response.Result().Cookies()), "cookie written")
	// Output:
	// old access token
	// new access token
	// 1 cookie written
}
