package app

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/admin"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/replicas/memory"
	"cognito-token-handler/tokenhandler/replicas/valkey"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/session"
	"cognito-token-handler/tokenhandler/session/refresh"
	"cognito-token-handler/tokenhandler/web"
)

// denyList is the deny list in this process's memory. With session.store, entries of
// one replica reach the lists of all replicas within a moment.
type denyList struct {
	*memory.List

	shared *valkey.Store // nil without session.store
}

func (a *App) newDenyList(ctx context.Context) (denyList, error) {
	list := denyList{List: memory.New(a.now)}
	if a.cfg.Session.Store.IsZero() {
		return list, nil
	}
	var err error
	list.shared, err = valkey.New(valkey.Config{
		URL: a.cfg.Session.Store, Local: list.List, Now: a.now, Log: a.log, Metrics: valkey.NewMetrics(a.registry),
		Credentials: func(region string) (aws.CredentialsProvider, error) {
			return awsCredentials(ctx, region, awsCallTimeout, a.tracer)
		},
	})
	if err != nil {
		return denyList{}, fmt.Errorf("session.store: %w", err)
	}
	return list, nil
}

// Revoke ends the sessions that an entry names.
func (d denyList) Revoke(ctx context.Context, entry replicas.Revocation) error {
	if d.shared != nil {
		return d.shared.Revoke(ctx, entry)
	}
	_, err := d.Add(entry)
	return err
}

// denyTimeout bounds how long a logout waits for the store to take its entry.
const denyTimeout = time.Second

// Deny implements [refresh.DenyList].
func (d denyList) Deny(name session.Name, until time.Time) {
	d.List.Deny(name, until)
	if d.shared == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), denyTimeout)
	defer cancel()
	// The entry is well-formed. If the store does not take it now, it is written later.
	_ = d.shared.Revoke(ctx, replicas.Revocation{Kind: replicas.KindSession, Name: name.String(), Until: until})
}

// run adds the revocations of other replicas to the list, until ctx ends.
func (d denyList) run(ctx context.Context) {
	if d.shared != nil {
		d.shared.Run(ctx)
	}
}

// handOverEvery is the pause between two checks, during a shutdown, of whether the
// store has taken all revocations.
const handOverEvery = 50 * time.Millisecond

// handOver waits until the store has every revocation of this process, because the
// other replicas would never learn of one that it lacks. The error is ctx's.
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
			return fmt.Errorf("telling %d revocations: %w", d.shared.Pending(), ctx.Err())
		}
	}
	return nil
}

// replicas returns the store, or nil without one.
func (d denyList) replicas() refresh.Replicas {
	if d.shared == nil {
		return nil
	}
	return d.shared
}

// denyListCurrent reports whether the list can be trusted. It is nil where requests are
// served during an outage of the store, too (revocation.on_outage: allow).
func (a *App) denyListCurrent() func() bool {
	if a.denied.shared == nil || a.cfg.Revocation.OnOutage != "deny" {
		return nil
	}
	return a.denied.shared.DenyListCurrent
}

// storeReady returns the state of the store for /readyz: "ok", an error, or "" without
// a store. A replica is not ready during an outage only if it then refuses every
// session: otherwise a store that is down would take the whole app out of service.
func (a *App) storeReady() (state string, ready bool) {
	if a.denied.shared == nil {
		return "", true
	}
	if err := a.denied.shared.Ready(); err != nil {
		return err.Error(), a.cfg.Revocation.OnOutage != "deny"
	}
	return "ok", true
}

// discard revokes a refresh token that was issued after its session had ended.
func (a *App) discard(token secret.String) { a.provider.Discard(context.Background(), token) }

// signOut returns the call of Cognito's GlobalSignOut. It returns nil where no access
// token can have the scope for it.
func (a *App) signOut() func(context.Context, secret.String) error {
	p := a.cfg.Provider
	if p.Kind != config.KindCognito || !slices.Contains(p.Scopes, cognito.AdminScope) {
		return nil
	}
	return a.provider.SignOutEverywhere
}

func (a *App) newAdmin(site *web.Site) http.Handler {
	return admin.New(admin.Config{
		Site: site, Token: a.cfg.Admin.Token, Revoke: a.denied.Revoke, Entries: a.denied.Entries,
		SessionLifetime: a.cfg.Session.AbsoluteLifetime, Now: a.now, Log: a.log,
	})
}

var (
	_ refresh.DenyList = denyList{}
	_ refresh.Replicas = (*valkey.Store)(nil)
)
