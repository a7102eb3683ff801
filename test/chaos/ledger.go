package chaos

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync"
	"time"
)

// call is a refresh call that the provider took up.
type call struct {
	at         time.Time // when it arrived
	took       time.Duration
	user       string
	generation int // of the token that it showed, counted from the login
	replica    string
	status     int
	// early: its access token was not due yet.
	early bool
}

// issued is what the provider knows of a refresh token.
type issued struct {
	user       string
	generation int
	at         time.Time // as the access token beside it says: whole seconds
}

// ledger is every refresh token of the run, and every call that showed one.
type ledger struct {
	mu     sync.Mutex
	tokens map[string]issued // refresh token → what it is
	calls  []call
	// refused are the calls that were answered with an outage, dropped those whose
	// client was gone before they were taken up.
	refused, dropped int
}

func newLedger() *ledger { return &ledger{tokens: make(map[string]issued)} }

// owner is whose login a refresh token is of.
func (l *ledger) owner(refresh string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tokens[refresh].user
}

// login takes up the tokens of a new login.
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

// mayBeEarly is how long before its end the token handler renews a token that
// lives for accessTTL (a quarter of it), and something for rounding.
const mayBeEarly = accessTTL/4 + accessTTL/20

// refresh takes up a call that the provider answered.
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

// subject reads whose the access token is, and since when.
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

// tally is what the calls came to.
type tally struct {
	calls int // that the provider took up
	// due are the expiries that they were for: one for each refresh token that was
	// refreshToken after its access token was due.
	due   int
	reuse int // calls that the provider refused for the token
}

// rate is how many calls an expiry took: 1 is right.
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
