package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cognito-token-handler/config"
	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/tokenhandler/admin"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/replicas/valkey"
	"cognito-token-handler/tokenhandler/seal"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

// denyList is the deny list of ended sessions in this process's memory. With
// session.store, every replica receives the entries of all others.
type denyList struct {
	*memory.List

	shared *valkey.Store // nil without session.store
	now    func() time.Time
}

// maxSealedRevocation is the largest length of a sealed revocation, which holds a sub of up to
// 255 bytes.
const maxSealedRevocation = 1024

func (a *App) newDenyList(ctx context.Context) (denyList, error) {
	list := denyList{List: memory.New(a.now), now: a.now}
	if a.cfg.Session.Store.IsZero() {
		return list, nil
	}
	var err error
	list.shared, err = valkey.New(valkey.Config{
		URL: a.cfg.Session.Store, Local: list.List, Now: a.now, Log: a.log, Metrics: valkey.NewMetrics(a.registry),
		Sealer: seal.Codec{Keys: a.keys, MaxLength: maxSealedRevocation, Binding: seal.Bind("revocations", a.cfg.Provider.Issuer, a.cfg.Provider.ClientID)},
		Credentials: func(region string) (aws.CredentialsProvider, error) {
			return awsCredentials(ctx, region, awsCallTimeout, a.tracer)
		},
	})
	if err != nil {
		return denyList{}, fmt.Errorf("session.store: %w", err)
	}
	return list, nil
}

// Revoke adds an entry, which ends the sessions that it names.
func (d denyList) Revoke(ctx context.Context, entry replicas.Revocation) error {
	if d.shared != nil {
		return d.shared.Revoke(ctx, entry)
	}
	_, err := d.Add(d.Cover(entry, false))
	return err
}

// Lift takes back the revocations of this kind and name that operators made, as far as this
// process knows. It reports whether there are any. Sessions that they have ended already stay
// ended.
func (d denyList) Lift(ctx context.Context, kind replicas.Kind, name string) (found bool, err error) {
	return d.List.Lift(ctx, kind, name, d.Revoke) //nolint:wrapcheck // it is that of Revoke
}

// current reports whether the list has the entries of all replicas.
func (d denyList) current() bool { return d.shared == nil || d.shared.DenyListCurrent() }

// denyTimeout bounds how long a logout waits until the store has its entry.
const denyTimeout = time.Second

// Deny implements [refresh.DenyList].
func (d denyList) Deny(name session.Name, until time.Time) {
	d.end(replicas.Revocation{Kind: replicas.KindSession, Name: name.String(), Until: until})
}

// Replace implements [refresh.DenyList].
func (d denyList) Replace(name session.Name, until time.Time) {
	d.end(replicas.Revocation{Kind: replicas.KindSession, Name: name.String(), Before: d.now(), Until: until})
}

// end ends one session.
func (d denyList) end(entry replicas.Revocation) {
	ctx, cancel := context.WithTimeout(context.Background(), denyTimeout)
	defer cancel()
	// The entry is valid. If the store does not have it in time, it is written later.
	_ = d.Revoke(ctx, entry)
}

// run adds the revocations of other replicas to the list until ctx is done.
func (d denyList) run(ctx context.Context) {
	if d.shared != nil {
		d.shared.Run(ctx)
	}
}

// handOverEvery is the pause, during a shutdown, between two checks of whether the
// store has all revocations.
const handOverEvery = 50 * time.Millisecond

// handOver waits until the store has every revocation of this process. The other
// replicas would never receive one that is lost with the process. It returns an error
// if ctx is done first.
func (d denyList) handOver(ctx context.Context) error {
	if d.shared == nil {
		return nil
	}
	ticks := time.NewTicker(handOverEvery)
	defer ticks.Stop()
	for d.shared.Pending() > 0 {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return fmt.Errorf("writing %d revocations to the store: %w", d.shared.Pending(), ctx.Err())
		}
	}
	return nil
}

// leave tells the store that this process ends and has handed over what it had.
func (d denyList) leave(ctx context.Context) {
	if d.shared != nil {
		d.shared.Leave(ctx)
	}
}

// sharedMaps returns the store, or nil without session.store.
func (d denyList) sharedMaps() storage.Maps {
	if d.shared == nil {
		return nil
	}
	return d.shared
}

// replicas returns the store, or nil without session.store.
func (d denyList) replicas() refresh.Replicas {
	if d.shared == nil {
		return nil
	}
	return d.shared
}

// denyListCurrent returns a function that reports whether the list has the entries of
// the other replicas. It returns nil if this does not matter: without a store, and if
// requests are served during an outage of the store (revocation.on_outage: allow).
func (a *App) denyListCurrent() func() bool {
	if a.denied.shared == nil || a.cfg.Revocation.OnOutage != "deny" {
		return nil
	}
	return a.denied.shared.DenyListCurrent
}

// storeReady returns the state of the store for /readyz: "ok", an error, or "" without
// a store. During an outage a replica is not ready only if it then refuses every
// session. If it serves them, the outage must not take all replicas out of service.
func (a *App) storeReady() (state string, ready bool) {
	if a.denied.shared == nil {
		return "", true
	}
	if err := a.denied.shared.Ready(); err != nil {
		return err.Error(), a.cfg.Revocation.OnOutage != "deny"
	}
	return "ok", true
}

// discard revokes a refresh token that was issued for a session that has ended
// meanwhile.
func (a *App) discard(token secret.String) { a.provider.Discard(context.Background(), token) }

// signOut returns the function that calls Cognito's GlobalSignOut, or nil if no access
// token can have the scope that the call needs.
func (a *App) signOut() func(context.Context, secret.String) error {
	p := a.cfg.Provider
	if p.Kind != config.KindCognito || !slices.Contains(p.Scopes, cognito.AdminScope) {
		return nil
	}
	return a.provider.SignOutEverywhere
}

func (a *App) newAdmin(site *web.Site) *admin.Handler {
	tokens := map[string]secret.String{}
	if !a.cfg.Admin.Token.IsZero() {
		tokens[config.UnnamedOperator] = a.cfg.Admin.Token
	}
	for i := range a.cfg.Admin.Tokens {
		tokens[a.cfg.Admin.Tokens[i].Name] = a.cfg.Admin.Tokens[i].Token
	}
	return admin.New(admin.Config{
		Site: site, Tokens: tokens, Audit: a.trail, Revoke: a.denied.Revoke, Lift: a.denied.Lift,
		Entries: a.denied.Entries, Current: a.denied.current,
		WrongTokens: a.adminTokenLimit(site), SessionLifetime: a.cfg.Session.AbsoluteLifetime, Now: a.now, Log: a.log,
	})
}

var (
	_ refresh.DenyList = denyList{}
	_ refresh.Replicas = (*valkey.Store)(nil)
)
