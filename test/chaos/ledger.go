package chaos

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// call is a refresh call that the provider processed.
type call struct {
	at         time.Time // when it arrived
	took       time.Duration
	user       string
	generation int // of the refresh token in it, counted from the login
	replica    string
	status     int
	// early is set if the access token was not due for renewal yet.
	early bool
}

// issued describes a refresh token that the provider issued.
type issued struct {
	user       string
	generation int
	at         time.Time // iat of the access token that came with it, in whole seconds
}

// ledger records every refresh token of the run and every refresh call.
type ledger struct {
	mu     sync.Mutex
	tokens map[string]issued // refresh token → what it is
	calls  []call
	// refused counts the calls that were answered with an outage, dropped those whose
	// client was gone before they were processed.
	refused, dropped int
}

func newLedger() *ledger { return &ledger{tokens: make(map[string]issued)} }

// owner returns the user of a refresh token.
func (l *ledger) owner(refresh string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tokens[refresh].user
}

// login records the tokens of a new login.
func (l *ledger) login(answer []byte) {
	var body tokenAnswer
	if json.Unmarshal(answer, &body) != nil || body.RefreshToken == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	user, at := body.subject()
	l.tokens[body.RefreshToken] = issued{user: user, generation: 1, at: at}
}

// mayBeEarly is how long before its end the token handler may renew an access token: a
// quarter of accessTTL, and a margin for rounding.
const mayBeEarly = accessTTL/4 + accessTTL/20

// refresh records a call that the provider answered.
func (l *ledger) refresh(replica, refreshToken string, arrived time.Time, status int, answer []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if status != statusOK && status != statusBad {
		l.refused++
		return
	}
	token := l.tokens[refreshToken]
	l.calls = append(l.calls, call{
		at: arrived, took: time.Since(arrived), user: token.user, generation: token.generation, replica: replica, status: status,
		early: arrived.Before(token.at.Add(accessTTL - mayBeEarly)),
	})
	var body tokenAnswer
	if status == statusOK && json.Unmarshal(answer, &body) == nil {
		_, at := body.subject()
		l.tokens[body.RefreshToken] = issued{user: token.user, generation: token.generation + 1, at: at}
	}
}

func (l *ledger) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dropped++
}

// The provider's answers that count: tokens, and a refusal of the token that was sent.
const (
	statusOK  = 200
	statusBad = 400
)

type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

// subject returns the user of the access token and the time at which it was issued.
func (a tokenAnswer) subject() (user string, at time.Time) {
	parts := strings.Split(a.AccessToken, ".")
	if len(parts) != 3 {
		return "", time.Time{}
	}
	var claims struct {
		Username string `json:"username"`
		IAT      int64  `json:"iat"`
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		return "", time.Time{}
	}
	return claims.Username, time.Unix(claims.IAT, 0)
}

// tally is the count of refresh calls.
type tally struct {
	calls int // that the provider processed
	// due counts the expiries: one for each refresh token that was sent after its
	// access token was due.
	due   int
	reuse int // calls that the provider refused for the token
}

// rate returns the calls for each expiry, which should be 1.
func (t tally) rate() float64 {
	if t.due == 0 {
		return 0
	}
	return float64(t.calls) / float64(t.due)
}

// count counts the calls that are not excluded. A second call with a token, and
// one before the token was due, count as calls without an expiry.
func (l *ledger) count(excluded func(call) bool) tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	type key struct {
		user       string
		generation int
	}
	seen := make(map[key]bool)
	var t tally
	for _, c := range l.calls {
		k := key{c.user, c.generation}
		again := seen[k]
		seen[k] = true
		if excluded(c) {
			continue
		}
		t.calls++
		if c.status == statusBad {
			t.reuse++
		}
		if !again && !c.early {
			t.due++
		}
	}
	return t
}

// of returns the calls for one user.
func (l *ledger) of(user string) []call {
	l.mu.Lock()
	defer l.mu.Unlock()
	var own []call
	for _, c := range l.calls {
		if c.user == user {
			own = append(own, c)
		}
	}
	return own
}

// reused returns the calls that the provider refused for their refresh token.
func (l *ledger) reused() (refused []call) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.calls {
		if c.status == statusBad {
			refused = append(refused, c)
		}
	}
	return refused
}
