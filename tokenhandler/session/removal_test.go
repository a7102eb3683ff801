package session_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
)

// TestRemovedSessionLeavesNoCookie: a logout removes every cookie of the session that the
// browser has, with the attributes that a browser demands of the prefix, and no other.
func TestRemovedSessionLeavesNoCookie(t *testing.T) {
	f := newFixture(t)
	large := tokens(1, f.now)
	large.Refresh = incompressible()
	for name, c := range map[string]struct {
		tokens secret.Tokens
		want   []string
	}{
		"in one cookie":  {tokens(2, f.now), []string{activeCookie, sessionCookie}},
		"in two cookies": {large, []string{activeCookie, sessionCookie, sessionCookie + ".1"}},
	} {
		j := f.login(t, c.tokens)
		gs, err := f.New(with(j), sessionCookie)
		if err != nil {
			t.Fatal(err)
		}
		gs.Options.MaxAge = -1
		w := httptest.NewRecorder()
		if err := gs.Save(with(j), w); err != nil {
			t.Fatal(err)
		}
		var removed []string
		for _, line := range w.Header()["Set-Cookie"] {
			name, _, _ := strings.Cut(line, "=")
			removed = append(removed, name)
			if !strings.HasPrefix(line, name+"=;") || !strings.Contains(line, "; Max-Age=0;") || !strings.Contains(line, "Path=/;") ||
				!strings.Contains(line, "; HttpOnly; Secure; SameSite=Strict") {
				t.Errorf("%s", line)
			}
		}
		if slices.Sort(removed); !slices.Equal(removed, c.want) {
			t.Errorf("%s: removed %q, want %q", name, removed, c.want)
		}
		if w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: an answer that removes cookies may be stored", name)
		}
	}
}

// TestCarriedCookies: what is removed from a browser is counted as the browser sends it, in
// all Cookie lines, and with values that http.Request.Cookies does not accept. Cookies of
// others, and those that no answer could remove, are not.
func TestCarriedCookies(t *testing.T) {
	names := session.NewNames("session", false)
	login := names.Login + "AbCd_-12"
	h := http.Header{"Cookie": {
		sessionCookie + "=1abc; other=x; " + login + `="quoted, with comma"`,
		login + "=again;" + names.Began + "=;" + names.Login + "no name=x; " + sessionCookie + ".1=2; " + sessionCookie + "x=1; nothing",
	}}
	want := map[string]int{
		sessionCookie:        len(sessionCookie + "=1abc; "),
		sessionCookie + ".1": len(sessionCookie + ".1=2; "),
		login:                len(login+`="quoted, with comma"; `) + len(login+"=again; "),
		names.Began:          len(names.Began + "=; "),
	}
	if got := names.Carried(h, 24); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := names.Carried(h, 2); !maps.Equal(got, map[string]int{sessionCookie: want[sessionCookie], login: want[login]}) {
		t.Errorf("of the first two: %v", got)
	}
}

// TestCookiesAreWrittenWhenTheyChange: an answer sets the activity cookie when either of its
// times has changed, and no cookie that the browser has already.
func TestCookiesAreWrittenWhenTheyChange(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	for name, c := range map[string]struct {
		change func(a *session.Activity)
		want   []string
	}{
		"nothing":         {func(*session.Activity) {}, nil},
		"the user acted":  {func(a *session.Activity) { a.Active = a.Active.Add(time.Second) }, []string{activeCookie}},
		"the user probed": {func(a *session.Activity) { a.Probed = a.Probed.Add(time.Second) }, []string{activeCookie}},
	} {
		gs, err := f.New(with(j), sessionCookie)
		if err != nil {
			t.Fatal(err)
		}
		activity, _ := gs.Values[session.ActivityKey].(*session.Activity)
		c.change(activity)
		for again, want := range [][]string{c.want, nil} { // the second time it is in the browser
			w := httptest.NewRecorder()
			if err := gs.Save(with(j), w); err != nil {
				t.Fatal(err)
			}
			got := make(jar)
			got.take(t, w.Header())
			if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, want) {
				t.Errorf("%s, save %d: wrote %q", name, again+1, names)
			}
		}
	}
}

// TestActivityWithoutItsCookie: a browser that has lost the activity cookie gets one with
// what its user did since.
func TestActivityWithoutItsCookie(t *testing.T) {
	f := newFixture(t)
	j := jar{sessionCookie: f.login(t, tokens(1, f.now))[sessionCookie]}
	f.now = f.now.Add(50 * time.Minute)
	gs, err := f.New(with(j), sessionCookie)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := gs.Values[session.Key].(*session.Session)
	activity, _ := gs.Values[session.ActivityKey].(*session.Activity)
	if activity.Session != s.ID {
		t.Error("the activity is no session's")
	}
	activity.Active = f.now
	w := httptest.NewRecorder()
	if err := gs.Save(with(j), w); err != nil {
		t.Fatal(err)
	}
	j.take(t, w.Header())
	f.now = f.now.Add(59 * time.Minute)
	f.mustOpen(t, j)
}

// TestNextSessionHasItsOwnActivity: a login in a browser that has a session writes the
// activity of the new one, and leaves the other's to nobody.
func TestNextSessionHasItsOwnActivity(t *testing.T) {
	f := newFixture(t)
	j := f.login(t, tokens(1, f.now))
	f.now = f.now.Add(50 * time.Minute)
	gs, err := f.New(with(j), sessionCookie)
	if err != nil {
		t.Fatal(err)
	}
	next := f.Begin(tokens(2, f.now), f.now)
	gs.Values[session.Key] = next
	w := httptest.NewRecorder()
	if err := gs.Save(with(j), w); err != nil {
		t.Fatal(err)
	}
	written := make(jar)
	written.take(t, w.Header())
	activity, _ := gs.Values[session.ActivityKey].(*session.Activity)
	if written[activeCookie] == "" || activity.Session != next.ID || !activity.Active.Equal(f.now) || !activity.Probed.Equal(f.now) {
		t.Errorf("wrote %q, with the activity %+v", slices.Sorted(maps.Keys(written)), activity)
	}
}

// TestLoginOverAnEmptyCookie: cookies that hold nothing do not keep a login from being
// written.
func TestLoginOverAnEmptyCookie(t *testing.T) {
	f := newFixture(t)
	for _, value := range []string{"", "1", "2"} {
		j := jar{sessionCookie: value, sessionCookie + ".1": ""}
		gs, err := f.New(with(j), sessionCookie)
		if err == nil {
			t.Fatalf("%q opened", value)
		}
		gs.Values[session.Key] = f.Begin(tokens(1, f.now), f.now)
		w := httptest.NewRecorder()
		if err := gs.Save(with(j), w); err != nil {
			t.Fatal(err)
		}
		j.take(t, w.Header())
		f.mustOpen(t, j)
	}
}

// TestProbesOfTheFutureAreNotBelieved: they would keep the provider from being asked about the
// user, as activity in the future would keep a session alive.
func TestProbesOfTheFutureAreNotBelieved(t *testing.T) {
	f := newFixture(t)
	began := f.now
	j := f.login(t, tokens(1, f.now))
	for probed, want := range map[time.Duration]time.Duration{-time.Minute: 0, 10 * time.Minute: 10 * time.Minute, 30*time.Minute + time.Second: 0} {
		f.now = began.Add(probed)
		gs, err := f.New(with(j), sessionCookie)
		if err != nil {
			t.Fatal(err)
		}
		activity, _ := gs.Values[session.ActivityKey].(*session.Activity)
		activity.Probed = f.now
		w := httptest.NewRecorder()
		if err := gs.Save(with(j), w); err != nil {
			t.Fatal(err)
		}
		changed := maps.Clone(j)
		changed.take(t, w.Header())
		f.now = began.Add(30 * time.Minute)
		if gs, err = f.New(with(changed), sessionCookie); err != nil {
			t.Fatal(err)
		}
		if activity, _ = gs.Values[session.ActivityKey].(*session.Activity); !activity.Probed.Equal(began.Add(want)) {
			t.Errorf("a probe at %s counts as one at %s", probed, activity.Probed.Sub(began))
		}
	}
}

// TestNextGenerationHoldsWhatWasRenewed: what a refresh gave replaces what was, with the ID
// token only if that is kept, and what it did not give stays. Of an answer that could not be
// verified, the refresh token alone is taken.
func TestNextGenerationHoldsWhatWasRenewed(t *testing.T) {
	for _, keepID := range []bool{true, false} {
		f := newFixture(t, func(c *session.Config) { c.KeepIDToken = keepID })
		first, other := tokens(1, f.now), tokens(2, f.now)
		s := f.Begin(first, f.now)
		held := allTokens(t, s)
		f.now = f.now.Add(10 * time.Minute)
		answer := secret.Tokens{
			Access: other.Access, AccessExpires: f.now.Add(time.Hour), ID: other.ID, Claims: other.Claims, Subject: other.Subject,
		}
		next := f.Next(s, held, answer, 2, f.now)
		got := allTokens(t, next)
		wantID := secret.String{}
		if keepID {
			wantID = other.ID
		}
		if !got.Access.Equal(other.Access) || got.Claims != other.Claims || got.ID.Reveal() != wantID.Reveal() || !got.Refresh.Equal(first.Refresh) {
			t.Errorf("keeping %v: %s", keepID, sameTokens(got, answer))
		}
		if next.Subject != first.Subject || next.ID != s.ID || !next.Expires.Equal(s.Expires) || !next.AccessIssued.Equal(f.now) || next.Partial {
			t.Errorf("keeping %v: another user, session or life: %v", keepID, next)
		}
		answer.ID, answer.Claims = secret.String{}, ""
		if got := allTokens(t, f.Next(s, held, answer, 2, f.now)); got.Claims != first.Claims || got.ID.Reveal() != held.ID.Reveal() {
			t.Errorf("keeping %v: an answer without an ID token removed the claims", keepID)
		}
		partial := f.Next(s, held, secret.Tokens{Refresh: other.Refresh}, 2, f.now)
		if got := allTokens(t, partial); !partial.Partial || !got.Access.Equal(first.Access) || !got.Refresh.Equal(other.Refresh) || got.Claims != first.Claims ||
			!partial.AccessIssued.Equal(s.AccessIssued) || !partial.AccessExpires.Equal(s.AccessExpires) {
			t.Errorf("keeping %v: partial: %s", keepID, fmt.Sprint(partial))
		}
	}
}

// TestSessionWithoutARefreshTokenEndsWithItsAccessToken, also if the provider told another end.
func TestSessionWithoutARefreshTokenEndsWithItsAccessToken(t *testing.T) {
	f := newFixture(t)
	only := tokens(1, f.now)
	only.Refresh, only.RefreshExpires = secret.String{}, f.now.Add(5*time.Hour)
	s := f.Begin(only, f.now)
	if s.Renewable || !s.Ends().Equal(only.AccessExpires) {
		t.Errorf("renewable: %v, ends at %v", s.Renewable, s.Ends())
	}
	for life, want := range map[time.Duration]time.Duration{0: 12 * time.Hour, 11 * time.Hour: 11 * time.Hour, 13 * time.Hour: 12 * time.Hour} {
		both := tokens(1, f.now)
		if life > 0 {
			both.RefreshExpires = f.now.Add(life)
		}
		if s := f.Begin(both, f.now); !s.Renewable || !s.Ends().Equal(f.now.Add(want)) {
			t.Errorf("with a refresh token of %s: renewable: %v, ends at %v", life, s.Renewable, s.Ends())
		}
	}
}
