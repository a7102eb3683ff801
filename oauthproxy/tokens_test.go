package oauthproxy_test

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"cognito-token-handler/oauthproxy"
	"cognito-token-handler/tokenhandler/secret"
)

// tokens is a TokenSource that returns err, or else a grant that sets cookie.
type tokens struct {
	err    error
	cookie string
	noID   bool
	// session is the number of the session whose request comes next.
	session atomic.Int32
	calls   atomic.Int32
	probe   atomic.Int64
	// renew returns the next token; nil if the token cannot be renewed.
	renew func() (string, error)
	// permits reports what a token permits; nil permits nothing.
	permits func(token string, scopes, groups []string) bool

	mu      sync.Mutex
	ended   error                     // why the session has ended, if it has
	watches []context.CancelCauseFunc // ends the context of each request that watches it
	watched atomic.Int32
}

// end ends the session.
func (s *tokens) end(why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = why
	for _, end := range s.watches {
		end(why)
	}
}

func (s *tokens) Authorize(_ *http.Request, probe time.Duration) (oauthproxy.Grant, error) {
	s.probe.Store(int64(probe))
	s.calls.Add(1)
	if s.err != nil {
		return nil, s.err
	}
	return &grant{source: s}, nil
}

type grant struct {
	source    *tokens
	renewed   string
	committed bool
}

func (g *grant) Key() [16]byte { return [16]byte{byte(g.source.session.Load())} }

func (g *grant) AccessToken() secret.String { return secret.New(cmp.Or(g.renewed, accessToken)) }

func (g *grant) Permits(scopes, groups []string) bool {
	permits := g.source.permits
	return permits != nil && permits(g.AccessToken().Reveal(), scopes, groups)
}

func (g *grant) Watch(ctx context.Context) context.Context {
	s := g.source
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, end := context.WithCancelCause(ctx)
	if s.ended != nil {
		end(s.ended)
	}
	s.watches = append(s.watches, end)
	s.watched.Add(1)
	return ctx
}

func (g *grant) Renew(context.Context) (err error) {
	if g.source.renew == nil {
		return errors.New("not now")
	}
	g.renewed, err = g.source.renew()
	return err
}

func (g *grant) IDToken() secret.String {
	if g.source.noID {
		return secret.String{}
	}
	return secret.New(idToken)
}

func (g *grant) Commit(h http.Header) {
	if g.committed {
		panic("committed twice")
	}
	g.committed = true
	if g.source.cookie != "" {
		h.Add("Set-Cookie", g.source.cookie)
	}
}
