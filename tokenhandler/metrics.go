package tokenhandler

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"cognito-token-handler/tokenhandler/web"
)

// Metrics are the counters of this package.
type Metrics struct {
	// Logins counts callbacks by outcome.
	Logins *prometheus.CounterVec
	// Ended counts the ends of sessions by cause.
	Ended *prometheus.CounterVec
	// Logouts counts logouts.
	Logouts prometheus.Counter
	// ProviderLogouts counts logout tokens of the provider by outcome.
	ProviderLogouts *prometheus.CounterVec
	// Revocations counts revoked refresh tokens by outcome.
	Revocations *prometheus.CounterVec
	// Replaced counts sessions that a login in the same browser has ended, by outcome.
	Replaced *prometheus.CounterVec
	// Probes counts, by outcome, questions to the provider whether a user may still use
	// a session.
	Probes *prometheus.CounterVec
	// Verifications counts requests of gateways to /verify by outcome.
	Verifications *prometheus.CounterVec
	// SignOuts counts sign-outs of all of a user's sessions at the provider by outcome.
	SignOuts *prometheus.CounterVec
}

// NewMetrics registers the counters with reg; nil leaves them unregistered.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	f := promauto.With(reg)
	m := &Metrics{
		Logins: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_logins_total",
			Help: "Callbacks by outcome: ok, retried, already_logged_in, unknown_state (of no login of the browser; mostly bots), state_lost (the same, in a browser that began a login within the hour), refused (the provider refused the login or its code), unverified (its answer could not be verified), abandoned (the browser left), or the error code that the user was shown.",
		}, []string{"outcome"}),
		Ended: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_sessions_ended_total",
			Help: "Sessions that have ended, by cause: logout, replaced (by a login in the same browser), refused (the provider refused the refresh token), and, counted when a browser shows their cookie, idle, expired, revoked. Each session counts once for each replica that sees it.",
		}, []string{"cause"}),
		Logouts: f.NewCounter(prometheus.CounterOpts{
			Name: "tokenhandler_logouts_total",
			Help: "Logouts, with or without a session.",
		}),
		ProviderLogouts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_backchannel_logouts_total",
			Help: "Logout tokens from the provider, by outcome: ok, refused, unavailable, failed.",
		}, []string{"outcome"}),
		Revocations: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_revocations_total",
			Help: "Refresh tokens to be revoked at the provider, by outcome: ok, failed, unsupported (the provider has no revocation endpoint).",
		}, []string{"outcome"}),
		Probes: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_probes_total",
			Help: "Questions to the provider whether the user of a session may still use it, by outcome: ok, ended, unknown.",
		}, []string{"outcome"}),
		Verifications: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_verifications_total",
			Help: "Requests to /auth/verify, by outcome: ok, not_found (without the gateways' secret), or the code of the refusal.",
		}, []string{"outcome"}),
		SignOuts: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_provider_signouts_total",
			Help: "Sign-outs of all of a user's sessions at the provider (logout with everywhere=true), by outcome: ok, failed.",
		}, []string{"outcome"}),
		Replaced: f.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenhandler_sessions_replaced_total",
			Help: "Sessions that a login in the same browser has ended, by outcome: revoked (its refresh token was revoked as well), denied (its refresh token is not known; only the deny list ends it).",
		}, []string{"outcome"}),
	}
	m.begin()
	return m
}

// begin makes every counter exist, at 0: a counter that appears with its first event has
// no increase that rate() could see.
func (m *Metrics) begin() {
	for vec, outcomes := range map[*prometheus.CounterVec][]string{
		m.Logins: {
			"ok", "retried", "already_logged_in", outcomeUnknownState, outcomeStateLost, outcomeRefused, outcomeUnverified, outcomeAbandoned,
			codeAccessDenied, codeLoginFailed, codeLoginRequired,
			codeUserDisabled, codeTriggerRefused, codeAccountLinked, string(web.CodeInvalidRequest),
			string(web.CodeProviderUnavailable), string(web.CodeProviderError), string(web.CodeRateLimited),
			string(web.CodeSessionTooLarge), string(web.CodeAuditUnavailable), string(web.CodeInternal),
		},
		m.Ended:           {endedByLogout, endedByLogin, endedByRefusal, endedIdle, endedExpired, endedRevoked},
		m.ProviderLogouts: {"ok", "refused", "unavailable", "failed"},
		m.Revocations:     {"ok", "failed", "unsupported"},
		m.Probes:          {"ok", "ended", "unknown"},
		m.Verifications:   {"ok"},
		m.SignOuts:        {"ok", "failed"},
		m.Replaced:        {"revoked", "denied"},
	} {
		for _, outcome := range outcomes {
			vec.WithLabelValues(outcome)
		}
	}
	for _, code := range web.Codes() {
		m.Verifications.WithLabelValues(string(code))
	}
}
