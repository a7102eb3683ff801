package tokenhandler

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/web"
)

const (
	// gatewayHeader carries the gateway's secret. The API proxy forwards no
	// X-Auth-Request-… header.
	gatewayHeader = "X-Auth-Request-Secret"

	subjectHeader = "X-Auth-Subject"
	groupsHeader  = "X-Auth-Groups"
	// cookieHeader and a number, from 1, name the headers that replace Set-Cookie: the
	// configuration of nginx can read only the first of several header fields with
	// one name.
	cookieHeader = "X-Auth-Cookie-"

	// maxSubject is the largest length of a sub (OpenID Connect Core 1.0 §2).
	maxSubject = 255
)

var (
	errNoGateway    = errors.New(gatewayHeader + " is missing or wrong")
	errVerifyQuery  = errors.New("the query may hold scope, group and cookies=numbered, each once and not empty, and nothing else")
	errSubject      = errors.New("the sub is longer than 255 bytes, or has other characters than visible ASCII")
	errNotPermitted = errors.New("the access token lacks a scope, or its user is in none of the groups")
)

// gatewayHandler answers gateways that ask whose request they have received.
type gatewayHandler struct {
	cfg *Config
	// secret is what gateways send; it may be replaced at any time.
	secret    atomic.Pointer[secret.String]
	authorize func(*http.Request, time.Duration) (Grant, error)
}

// verify answers a gateway (nginx auth_request, ForwardAuth, ext_authz) that holds
// a request back until it knows whose it is. The answer has this status and the
// user's access token.
//
// This listener also serves browsers, and a script of the app could fetch the
// token. So only a client that sends the gateway's secret gets an answer; any other
// gets 404. What the gateway says about path, method or address of the original
// request decides nothing, because clients can forge such headers
// (CVE-2026-40575).
//
//  1. Compare the secret. A client that has sent too many wrong ones gets 429.
//  2. Read from the query what the gateway's configuration requires.
//  3. Check the origin by the browser's headers, as for an API request.
//  4. Open the session and refresh it if it is due. This counts as activity. From
//     here on every answer carries its cookies, refusals too.
//  5. Check scopes and groups, and that the sub can be a header.
func (h *gatewayHandler) verify(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.fromGateway(r) {
			refusal := h.refusal(r)
			h.cfg.Metrics.Verifications.WithLabelValues(string(web.CodeNotFound)).Inc()
			hidden := h.cfg.Site.Handle(func(http.ResponseWriter, *http.Request) error { return refusal })
			web.OwnHeaders(h.cfg.Site.CORS(hidden)).ServeHTTP(w, r)
			return
		}
		ask, err := h.readVerification(r)
		if err == nil {
			err = h.answerGateway(w.Header(), r, ask)
		}
		if err != nil {
			p := web.AsProblem(err)
			h.cfg.Metrics.Verifications.WithLabelValues(string(p.Code)).Inc()
			w.Header()["Set-Cookie"] = append(w.Header()["Set-Cookie"], p.Header["Set-Cookie"]...)
			p.Header.Del("Set-Cookie")
			ask.number(w.Header())
			web.WriteBare(w, r, p)
			return
		}
		h.cfg.Metrics.Verifications.WithLabelValues("ok").Inc()
		ask.number(w.Header())
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
	})
}

// fromGateway reports whether the request carries the gateway's secret. It compares
// in constant time. A request with two values is refused, because one of them is
// not the gateway's.
func (h *gatewayHandler) fromGateway(r *http.Request) bool {
	values := r.Header[gatewayHeader]
	return len(values) == 1 && h.secret.Load().Equal(secret.New(values[0]))
}

// refusal returns the answer to a request without the gateway's secret: that of a path that
// does not exist. A wrong secret counts, and too many of a client are refused. A request
// without any is no guess, and does not count.
//
// The right secret is never refused, unlike an admin token: a gateway may send its users'
// addresses, and one user who guesses would lock out all others of that office. The limit
// cannot stop somebody who guesses 16 characters from many addresses either. It shows that
// somebody guesses.
func (h *gatewayHandler) refusal(r *http.Request) error {
	if len(r.Header[gatewayHeader]) > 0 {
		if err := h.cfg.Limits.VerifySecret.TakeClient(r); err != nil {
			return err
		}
	}
	return web.NoSuchPath(errNoGateway)
}

// verification is what the configuration of a gateway requires.
type verification struct {
	scopes, groups []string
	// numbered replaces Set-Cookie by numbered headers.
	numbered bool
}

// readVerification reads the query, which the gateway's configuration sets. Unknown
// parameters are an error: a misspelt group= must not admit everybody.
//
// Below /verify/envoy/ path, query and method are the client's, because Envoy
// appends them to its prefix. They are ignored.
func (h *gatewayHandler) readVerification(r *http.Request) (verification, error) {
	var v verification
	switch path := strings.TrimPrefix(r.URL.Path, h.cfg.Path+"/verify"); {
	case strings.HasPrefix(path, "/envoy/"):
		return v, nil
	case path == "" && r.Method != http.MethodGet:
		return v, web.MethodNotAllowed(http.MethodGet)
	}
	query, err := singleValues(r.URL.RawQuery)
	if err != nil {
		return v, web.NewProblem(web.CodeInvalidRequest, errVerifyQuery.Error(), err)
	}
	known := true
	for name, value := range query {
		switch name {
		case "scope":
			v.scopes = strings.Fields(value)
			known = known && len(v.scopes) > 0
		case "group":
			v.groups = strings.Split(value, ",")
			known = known && !slices.Contains(v.groups, "")
		case "cookies":
			v.numbered = true
			known = known && value == "numbered"
		default:
			known = false
		}
	}
	if !known {
		return v, web.NewProblem(web.CodeInvalidRequest, errVerifyQuery.Error(), errVerifyQuery)
	}
	return v, nil
}

// answerGateway sets the header of the answer. The error is a [*web.Problem].
func (h *gatewayHandler) answerGateway(header http.Header, r *http.Request, ask verification) error {
	if err := h.cfg.Site.Admit(r); err != nil {
		return err
	}
	grant, err := h.authorize(r, 0)
	if err != nil {
		return err
	}
	grant.Commit(header)
	if !grant.Permits(ask.scopes, ask.groups) {
		return web.NewProblem(web.CodeInsufficientScope, "the session lacks a scope or group", errNotPermitted)
	}
	subject := grant.Subject()
	if !fitsHeader(subject) {
		// Without the header, or with a changed value, two users could become one.
		return web.NewProblem(web.CodeInsufficientScope, "the user's sub cannot be put into a header", errSubject)
	}
	header.Set("Authorization", "Bearer "+grant.AccessToken().Reveal())
	header.Set(subjectHeader, subject)
	// It is set even if it is empty: a gateway that copies it would otherwise forward
	// what the client sent.
	header.Set(groupsHeader, headerGroups(grant.permissions().groups))
	return nil
}

// number replaces Set-Cookie by numbered headers if v requires it.
func (v verification) number(header http.Header) {
	if !v.numbered {
		return
	}
	for i, cookie := range header["Set-Cookie"] {
		header.Set(cookieHeader+strconv.Itoa(i+1), cookie)
	}
	header.Del("Set-Cookie")
}

// fitsHeader reports whether a header can hold a sub unchanged.
func fitsHeader(sub string) bool { return sub != "" && len(sub) <= maxSubject && isVisible(sub) }

// headerGroups returns the groups separated by commas, without those that the header
// cannot hold unchanged. Cognito allows all punctuation in the name of a group: a
// group "users,admins" must not make its members admins. A user can only miss a
// group by that, and the token has all of them.
func headerGroups(groups []string) string {
	var kept []string
	for _, group := range groups {
		if group != "" && isVisible(group) && !strings.ContainsAny(group, `,;"\`) {
			kept = append(kept, group)
		}
	}
	return strings.Join(kept, ",")
}

// isVisible reports whether s has only visible ASCII characters (VCHAR of RFC 9110
// §5.5), and so no spaces.
func isVisible(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}
