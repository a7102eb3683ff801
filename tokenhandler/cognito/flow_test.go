package cognito_test

import (
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
)

func TestExchangeReturnsWhatTheUserMayKnow(t *testing.T) {
	p := connectedParty(t, cognitotest.Options{})
	tokens := p.mustLogin()

	user := p.pool.User("demo")
	if tokens.Subject != user.Sub {
		t.Errorf("subject %q, want %q", tokens.Subject, user.Sub)
	}
	if got, want := tokens.AuthTime.Unix(), p.clock.Now().Unix(); got != want {
		t.Errorf("authenticated at %d, want %d", got, want)
	}
	if got, want := tokens.AccessExpires.Unix(), p.clock.Now().Add(time.Hour).Unix(); got != want {
		t.Errorf("access token ends at %d, want %d", got, want)
	}
	if tokens.Access.IsZero() || tokens.ID.IsZero() || tokens.Refresh.IsZero() {
		t.Error("a token is missing")
	}
	want := `{"sub":"` + user.Sub + `","username":"demo","email":"demo@example.com","email_verified":true,` +
		`"name":"Demo User","groups":["readers","writers"]}`
	if tokens.Claims != want {
		t.Errorf("claims\n%s, want\n%s", tokens.Claims, want)
	}
}

func TestRefreshKeepsTheRefreshTokenUnlessANewOneComes(t *testing.T) {
	for name, rotation := range map[string]bool{"without rotation": false, "with rotation": true} {
		t.Run(name, func(t *testing.T) {
			p := connectedParty(t, cognitotest.Options{Rotation: rotation})
			first := p.mustLogin()
			p.clock.Advance(30 * time.Minute)
			second := p.mustRefresh(first)

			if same := second.Refresh.Equal(first.Refresh); same == rotation {
				t.Errorf("the refresh token stayed: %v", same)
			}
			if second.Access.Equal(first.Access) || second.ID.Equal(first.ID) {
				t.Error("a token is still the old one")
			}
			if second.Subject != first.Subject || !second.AuthTime.Equal(first.AuthTime) || second.NonceHash != first.NonceHash {
				t.Error("the session changed with the tokens")
			}
			if got, want := second.AccessExpires.Sub(first.AccessExpires), 30*time.Minute; got != want {
				t.Errorf("the access token lives %s longer, want %s", got, want)
			}
			if second.Claims != first.Claims {
				t.Errorf("claims %s, want %s", second.Claims, first.Claims)
			}
		})
	}
}
