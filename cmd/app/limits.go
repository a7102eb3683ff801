package app

import (
	"net/http"
	"net/netip"
	"slices"

	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler"
	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/limit"
	"cognito-token-handler/tokenhandler/web"
)

// newLimit returns a limit. client is nil for one by session.
func (a *App) newLimit(name string, rate config.Rate, client func(*http.Request) netip.Prefix) *limit.Limit {
	return limit.New(limit.Config{Name: name, Count: rate.Count, Per: rate.Per, Client: client, Now: a.now})
}

// authLimits returns the limits of logins and of the gateways' secret. From the latter no
// client is exempt: limits.exempt is for users who log in.
func (a *App) authLimits(site *web.Site) tokenhandler.Limits {
	l, client := a.cfg.Limits, a.unlessExempt(site, site.ClientNet)
	return tokenhandler.Limits{
		Login:       a.newLimit(web.LimitLogin, l.Login, client),
		Callback:    a.newLimit(web.LimitCallback, l.Callback, client),
		LoginCookie: l.LoginCookie,

		VerifySecret: a.newLimit(web.LimitVerifySecret, l.VerifySecret, site.ClientNet),
	}
}

// adminTokenLimit returns the limit of wrong tokens. Clients are counted by the address
// that connects: a header that they can send themselves must not let them go on guessing.
// No client is exempt: limits.exempt is for users who log in.
func (a *App) adminTokenLimit(site *web.Site) *limit.Limit {
	peer := func(r *http.Request) netip.Prefix { return web.NetOf(site.ClientIP(r)) } // the site trusts no proxy
	return a.newLimit(web.LimitAdminToken, a.cfg.Limits.AdminToken, peer)
}

// unlessExempt returns network, except for clients that are not limited.
func (a *App) unlessExempt(site *web.Site, network func(*http.Request) netip.Prefix) func(*http.Request) netip.Prefix {
	return func(r *http.Request) netip.Prefix {
		client := site.ClientIP(r)
		if slices.ContainsFunc(a.cfg.Limits.Exempt, func(p netip.Prefix) bool { return p.Contains(client) }) {
			return netip.Prefix{}
		}
		return network(r)
	}
}

// limited counts a request that a limit has refused, and records it if the limit is ours.
func (a *App) limited(r *http.Request, name string, session web.Named) {
	a.parts.limited(name)
	if name == web.LimitProvider || name == web.LimitStorage {
		return
	}
	e := audit.Event{Name: audit.RateLimited, Failed: true, Anonymous: true, Cause: name, Caller: web.CallerIn(r.Context())}
	e.UserAgent = web.UserAgent(r)
	if session != nil {
		e.Session, e.Subject = session.LogName(), session.LogSubject()
	}
	a.trail.Note(r.Context(), e)
}
