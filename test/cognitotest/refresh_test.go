package cognitotest_test

import (
	"testing"
	"time"

	"golang.org/x/oauth2"

	"cognito-token-handler/test/cognitotest"
)

func (p *party) mustRefresh(refreshToken string) *oauth2.Token {
	p.t.Helper()
	token, err := p.refresh(refreshToken)
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

func TestRefreshWithoutRotationReturnsNoRefreshToken(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	first := p.mustLogin()
	p.clock.Advance(time.Hour)
	second := p.mustRefresh(first.RefreshToken)
	if second.Extra("refresh_token") != nil {
		t.Error("the refresh answered with a refresh token")
	}
	if second.AccessToken == first.AccessToken {
		t.Error("the same access token again")
	}
	before, after := claims(t, idToken(t, first)), claims(t, idToken(t, second))
	for _, same := range []string{"sub", "auth_time", "origin_jti", "aud", "iss"} {
		if before[same] != after[same] {
			t.Errorf("%s went from %v to %v", same, before[same], after[same])
		}
	}
	if before["iat"] == after["iat"] || before["jti"] == after["jti"] {
		t.Error("iat or jti did not change")
	}
	if _, has := after["nonce"]; has {
		t.Error("the refreshed ID token has a nonce")
	}
	if got := p.srv.Count(cognitotest.TokenRefresh); got != 1 {
		t.Errorf("%d refreshes counted", got)
	}
}

func TestNonceOnRefresh(t *testing.T) {
	p := newParty(t, cognitotest.Options{NonceOnRefresh: true})
	second := p.mustRefresh(p.mustLogin().RefreshToken)
	if got := claims(t, idToken(t, second))["nonce"]; got != testNonce {
		t.Errorf("nonce %v", got)
	}
}

func TestRotation(t *testing.T) {
	for _, c := range []struct {
		name          string
		grace, wait   time.Duration
		revokesFamily bool
		reuseOK       bool
		successorOK   bool
	}{
		{"no grace: the old token dies at once", 0, 0, false, false, true},
		{"within the grace", 10 * time.Second, 9 * time.Second, false, true, true},
		{"after the grace", 10 * time.Second, 10 * time.Second, false, false, true},
		{"reuse revokes the family", 10 * time.Second, time.Minute, true, false, false},
		{"reuse within the grace revokes nothing", 10 * time.Second, time.Second, true, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newParty(t, cognitotest.Options{Rotation: true, RotationGrace: c.grace, RevokeFamilyOnReuse: c.revokesFamily})
			old := p.mustLogin().RefreshToken
			successor := p.mustRefresh(old).RefreshToken
			if successor == old {
				t.Fatal("no new refresh token")
			}
			p.clock.Advance(c.wait)
			for _, use := range []struct {
				token string
				ok    bool
			}{{old, c.reuseOK}, {successor, c.successorOK}} {
				_, err := p.refresh(use.token)
				if use.ok && err != nil {
					t.Error(err)
				}
				if !use.ok {
					p.wantRefused(err, "invalid_grant")
				}
			}
		})
	}
}

func TestRotationNeverExtendsTheLogin(t *testing.T) {
	p := newParty(t, cognitotest.Options{Rotation: true, RefreshTTL: 2 * time.Hour})
	token := p.mustLogin().RefreshToken
	p.clock.Advance(119 * time.Minute)
	token = p.mustRefresh(token).RefreshToken
	p.clock.Advance(time.Minute)
	_, err := p.refresh(token)
	p.wantRefused(err, "invalid_grant")
}

func TestRefreshFailsWithoutTheUser(t *testing.T) {
	for name, end := range map[string]func(*cognitotest.Server){
		"disabled":             func(s *cognitotest.Server) { s.DisableUser("demo") },
		"deleted":              func(s *cognitotest.Server) { s.DeleteUser("demo") },
		"signed out":           func(s *cognitotest.Server) { s.SignOut("demo") },
		"disabled and enabled": func(s *cognitotest.Server) { s.DisableUser("demo"); s.EnableUser("demo") },
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t, cognitotest.Options{})
			token := p.mustLogin()
			end(p.srv)
			_, err := p.refresh(token.RefreshToken)
			p.wantRefused(err, "invalid_grant")
			if _, err := p.provider.UserInfo(t.Context(), oauth2.StaticTokenSource(token)); err == nil {
				t.Error("userInfo still answers")
			}
		})
	}
}

func TestRefreshHasThePresentGroups(t *testing.T) {
	p := newParty(t, cognitotest.Options{})
	token := p.mustLogin()
	user := p.srv.User("demo")
	user.Groups = []string{"admins"}
	p.srv.AddUser(user)
	groups, ok := claims(t, p.mustRefresh(token.RefreshToken).AccessToken)["cognito:groups"].([]any)
	if !ok || len(groups) != 1 || groups[0] != "admins" {
		t.Errorf("groups %v", groups)
	}
}
