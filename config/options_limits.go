package config

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	maxRateCount = 1_000_000
	minRatePer   = time.Second
	maxRatePer   = 24 * time.Hour
	maxCodes     = 100
)

// limitOptions returns the table of the limits that no honest user meets. By default an
// office of some thousand users behind one address can log in within a few minutes.
func limitOptions(l *Limits) []option {
	const byClient = " Counted by client address: a /64 of IPv6, one of IPv4."
	const answer = "429 with `Retry-After`, or with `auth.error_path` a redirect (303) to that page with `error=rate_limited`"
	const refused = "less than 1 or more than 1000000; a time under 1s or over 24h"
	return []option{
		{
			key: "limits.login", def: "1200/1m", value: one(&l.Login, "rate", parseRate), refused: refused,
			doc: "How many logins may be begun. `1200/1m` is 1,200 at once, and then as many more in each minute, evenly; what is beyond gets " + answer + "." + byClient,
		},
		{
			key: "limits.callback", def: "120/1m", value: one(&l.Callback, "rate", parseRate), refused: refused,
			doc: "How many callbacks may come that are malformed, belong to no login of their browser, name another issuer, or bring a code beyond `limits.login_cookie`. Further ones get " + answer + ". Other callbacks of a login do not count, and go on whatever else came from their network." + byClient,
		},
		{
			key: "limits.login_cookie", def: "5", value: one(&l.LoginCookie, "number", parseCount(maxCodes)),
			doc: "How many codes one login's cookie is good for. Further ones are not sent to the provider, and the user has to begin a new login.", refused: "less than 1; more than 100",
		},
		{
			key: "limits.refresh", def: "10/100s", value: one(&l.Refresh, "rate", parseRate), refused: refused,
			doc: "How often the app may call `POST {auth.path}/refresh`: `10/100s` is ten times at once, then once every ten seconds. Counted by session. Refreshes that are due do not count.",
		},
		{
			key: "limits.presigns", def: "6000/1m", value: one(&l.Presigns, "rate", parseRate), refused: refused,
			doc: "How many requests for presigned URLs may be made. Counted by session.",
		},
		{
			key: "limits.admin_token", def: "10/1m", value: one(&l.AdminToken, "rate", parseRate), refused: refused,
			doc: "How many requests to `/admin/*` may come with a token that is not valid. When they are used up, requests with a valid token are refused for a while, too. Requests without an `Authorization` header get 401 and do not count. Counted by the address that connects, whatever `X-Forwarded-For` says; `limits.exempt` exempts nobody from it.",
		},
		{
			key: "limits.verify_secret", def: "10/1m", value: one(&l.VerifySecret, "rate", parseRate), refused: refused,
			doc: "How many requests to `{auth.path}/verify` may come with a wrong `X-Auth-Request-Secret`. Further ones get 429 with `Retry-After` in the place of 404. The right secret is never refused, and requests without the header do not count." + byClient + " `limits.exempt` exempts nobody from it.",
		},
		{
			key: "limits.exempt", value: many(&l.Exempt, "list of addresses or networks", parseExempt),
			doc: "Clients in these networks are not limited by `limits.login` and `limits.callback`. The limits by session, by login cookie, of admin tokens and of the gateways' secret hold for them, too.", refused: "networks that `trusted_proxies` refuses",
		},
	}
}

// parseRate accepts a number of requests and the time for as many more.
func parseRate(s string) (Rate, *invalid) {
	count, per, ok := strings.Cut(s, "/")
	n, err := strconv.Atoi(count)
	if !ok || err != nil {
		return Rate{}, &invalid{quote(s) + " is not a rate", "write a number, a slash and a time, such as 300/1m"}
	}
	if n < 1 || n > maxRateCount {
		return Rate{}, &invalid{quote(s) + " has a number that is not in the allowed range", "write a whole number from 1 to " + strconv.Itoa(maxRateCount) + " before the slash"}
	}
	d, bad := parseDuration(minRatePer, maxRatePer)(per)
	if bad != nil {
		return Rate{}, bad
	}
	return Rate{Count: n, Per: d}, nil
}

// parseExempt accepts an address or a network.
func parseExempt(s string) (netip.Prefix, *invalid) {
	return parseNetwork(s, "exempts", "write the networks whose users you know")
}
