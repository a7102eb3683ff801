package usercredentials

import (
	"container/list"
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"golang.org/x/sync/singleflight"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/tokenhandler/web"
)

const (
	// callTimeout bounds the calls for one user's credentials. It is shorter than the 10
	// seconds for which package storage waits.
	callTimeout = 9 * time.Second
	// retryPause is how long after a failed call the old credentials, if they are still
	// valid, are used without another call.
	retryPause = 5 * time.Second
	// maxUsers is how many users' credentials are kept by default. One takes about 3 KB.
	maxUsers = 10_000
)

// Config is what a [Cache] needs.
type Config struct {
	// Kind is the kind of Source, for metrics: one of [Kinds]. Required.
	Kind string
	// Source issues the credentials. Required.
	Source Source
	// Ahead is how long before their end credentials are replaced, but at most half of
	// their life. Presigned URLs end with them, so it should be longer than theirs.
	Ahead time.Duration
	// MaxUsers is how many users' credentials are kept. Default 10,000.
	MaxUsers int
	// Observe is called with the error of each call, or nil. Default nothing.
	Observe func(error)
	// Now is the clock. Required.
	Now func() time.Time
	// Log is told if old credentials are used because there are no new ones. Required.
	Log *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
}

// Cache keeps the credentials of users until shortly before their end, and no longer than
// the session with which they were got. It makes one call per user at a time. It is safe
// for concurrent use.
type Cache struct {
	cfg   Config
	calls singleflight.Group
	// background returns a context for the time that credentials are kept.
	background func() (context.Context, context.CancelFunc)

	mu sync.Mutex
	// users maps a subject to its *entry in order.
	users map[string]*list.Element
	order *list.List // the most recently used first
}

// entry are the credentials of one user.
type entry struct {
	Issued

	subject string
	// renew is when they are to be replaced.
	renew time.Time
	// forget ends the watch over the session.
	forget context.CancelFunc
}

// New returns an empty cache. Until ctx ends, it watches the sessions of the users whose
// credentials it keeps.
func New(ctx context.Context, cfg Config) *Cache {
	if cfg.MaxUsers == 0 {
		cfg.MaxUsers = maxUsers
	}
	if cfg.Observe == nil {
		cfg.Observe = func(error) {}
	}
	if cfg.Metrics == nil {
		cfg.Metrics = NewMetrics(nil)
	}
	return &Cache{
		cfg: cfg, users: make(map[string]*list.Element), order: list.New(),
		background: func() (context.Context, context.CancelFunc) { return context.WithCancel(ctx) },
	}
}

// For implements [storage.Credentials]:
//
//  1. It takes the user's credentials from the cache.
//  2. If there are none, or they end soon, it gets new ones.
//  3. If the ID token is refused, it renews the session's tokens and tries once more: an
//     ID token may expire before the access token.
//  4. If there are no new ones for another reason, it uses the old ones until they end.
func (c *Cache) For(ctx context.Context, user storage.User) (aws.Credentials, error) {
	if kept, ok := c.find(user.Subject(), (*entry).isFresh); ok {
		return kept, nil
	}
	got, err := c.get(ctx, user)
	if refused, ok := errors.AsType[*callError](err); ok && refused.ofToken && c.cfg.Kind != KindSessionPolicy {
		got, err = c.tryAnotherToken(ctx, user, refused)
	}
	if err == nil {
		return got, nil
	}
	failed, ok := errors.AsType[*callError](err)
	if !ok {
		return aws.Credentials{}, err // ctx has ended, or the session
	}
	if old, ok := c.find(user.Subject(), (*entry).isValid); ok && failed.outcome != outcomeRefused {
		c.cfg.Log.WarnContext(ctx, "the old credentials of a user are used, because there are no new ones", "kind", c.cfg.Kind, "error", failed.Error())
		return old, nil
	}
	return aws.Credentials{}, failed.problem()
}

// tryAnotherToken makes a call with a newer ID token than the refused one, if the
// provider issues one.
func (c *Cache) tryAnotherToken(ctx context.Context, user storage.User, refused *callError) (aws.Credentials, error) {
	token := user.IDToken()
	err := user.Renew(ctx)
	if problem, ok := errors.AsType[*web.Problem](err); ok {
		return aws.Credentials{}, problem
	}
	if next := user.IDToken(); err != nil || next.IsZero() || next.Equal(token) {
		return aws.Credentials{}, refused
	}
	return c.get(ctx, user)
}

// get makes a call, or waits for one that is under way for the user. The call goes on if
// this request ends, because others may wait for it.
func (c *Cache) get(ctx context.Context, user storage.User) (aws.Credentials, error) {
	who := Holder{Subject: user.Subject(), IDToken: user.IDToken()}
	detached := context.WithoutCancel(ctx)
	result := c.calls.DoChan(who.Subject, func() (any, error) {
		ctx, cancel := context.WithTimeout(detached, callTimeout)
		defer cancel()
		return c.issue(ctx, who, user)
	})
	select {
	case r := <-result:
		if r.Err != nil {
			return aws.Credentials{}, r.Err
		}
		got, _ := r.Val.(aws.Credentials) // the function above returns them
		return got, nil
	case <-ctx.Done():
		return aws.Credentials{}, ctx.Err()
	}
}

// issue calls the source and keeps what it issues.
func (c *Cache) issue(ctx context.Context, who Holder, user storage.User) (aws.Credentials, error) {
	who.Identity = c.identity(who.Subject)
	issued, err := c.cfg.Source(ctx, who)
	c.cfg.Observe(err)
	if err != nil {
		failed := callErrorOf(err)
		c.cfg.Metrics.Issued.WithLabelValues(c.cfg.Kind, failed.outcome).Inc()
		c.postpone(who.Subject, failed)
		return aws.Credentials{}, failed
	}
	c.cfg.Metrics.Issued.WithLabelValues(c.cfg.Kind, outcomeOK).Inc()
	c.keep(who.Subject, issued, user) //nolint:contextcheck // what is kept outlives the call
	return issued.Credentials, nil
}

// keep keeps credentials until the session ends, at most.
func (c *Cache) keep(subject string, issued Issued, user storage.User) {
	now := c.cfg.Now()
	ahead := min(c.cfg.Ahead, issued.Expires.Sub(now)/2)
	alive, forget := c.background()
	e := &entry{Issued: issued, subject: subject, renew: issued.Expires.Add(-ahead), forget: forget}
	c.mu.Lock()
	c.remove(c.users[subject])
	c.users[subject] = c.order.PushFront(e)
	if c.order.Len() > c.cfg.MaxUsers {
		c.remove(c.order.Back())
	}
	c.mu.Unlock()
	// From here on, so that no end is missed.
	context.AfterFunc(user.Watch(alive), func() { c.drop(e) })
}

// drop removes an entry, unless it was replaced.
func (c *Cache) drop(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if element := c.users[e.subject]; element != nil && element.Value == e {
		c.remove(element)
	}
}

// remove removes an element, which may be nil. The caller holds mu.
func (c *Cache) remove(element *list.Element) {
	if element == nil {
		return
	}
	if e, ok := c.order.Remove(element).(*entry); ok {
		delete(c.users, e.subject)
		e.forget()
	}
}

// find returns the user's credentials if they are good at this time.
func (c *Cache) find(subject string, good func(*entry, time.Time) bool) (aws.Credentials, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entry(subject)
	if e == nil || !good(e, c.cfg.Now()) {
		return aws.Credentials{}, false
	}
	c.order.MoveToFront(c.users[subject])
	return e.Credentials, true
}

// entry returns the user's entry, or nil. The caller holds mu.
func (c *Cache) entry(subject string) *entry {
	element := c.users[subject]
	if element == nil {
		return nil
	}
	e, _ := element.Value.(*entry) // the list has nothing else
	return e
}

// identity returns the user's id in the identity pool, if it is known.
func (c *Cache) identity(subject string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entry(subject); e != nil {
		return e.Identity
	}
	return ""
}

// postpone makes requests use the user's old credentials for a moment. Those that are
// refused now are dropped: the user may have lost the right to them, and the id in the
// identity pool may be gone.
func (c *Cache) postpone(subject string, failed *callError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch e := c.entry(subject); {
	case e == nil:
	case failed.outcome == outcomeRefused:
		c.remove(c.users[subject])
	default:
		e.renew = c.cfg.Now().Add(retryPause)
	}
}

func (e *entry) isFresh(now time.Time) bool { return now.Before(e.renew) && e.isValid(now) }

// isValid leaves time for the calls of one request.
func (e *entry) isValid(now time.Time) bool { return now.Before(e.Expires.Add(-time.Second)) }

var _ storage.Credentials = (*Cache)(nil)
