package tokenhandler

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/web"
)

const (
	// gatewayHeader is where a gateway shows its secret. The API proxy passes
	// no X-Auth-Request-… on.
	gatewayHeader = "X-Auth-Request-Secret"

	subjectHeader = "X-Auth-Subject"
	groupsHeader  = "X-Auth-Groups"
	// cookieHeader and a number, from 1, carry what Set-Cookie does: nginx shows
	// its configuration only the first of several header fields of one name.
	cookieHeader = "X-Auth-Cookie-"

	// maxSubject is the longest sub there is (OIDC Core §2).
	maxSubject = 255
)

var (
	errNoGateway    = errors.New("no gateway: " + gatewayHeader + " is missing or wrong")
	errVerifyQuery  = errors.New("the query has more than scope, group and cookies=numbered, each once and not empty")
	errNotPermitted = errors.New("the access token lacks a scope, or its user the group")
)

// verify answers a gateway that holds a request back until it knows whose it is
// (nginx auth_request, ForwardAuth, ext_authz), with status and the user's
// access token.
//
// The answer is a token, and this listener is where browsers are: any script of
// the app could fetch it. So it is only for who shows the gateway's secret; to
// anybody else there is nothing here. What else the gateway may tell, of the
// original request's path, method or address, decides nothing: clients have
// forged such headers (a peer's CVE-2026-40575).
//
//  1. The secret.
//  2. What the gateway's configuration asks for, in the query.
//  3. The origin, by the browser's own headers, as for an API request.
//  4. The session, renewed if due; this counts as activity. Its cookies go with
//     every answer from here on, refusals too.
//  5. Scopes and groups.
func (h *Handler) verify(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !h.fromGateway(r) {
			h.metrics.Verifications.WithLabelValues(string(web.CodeNotFound)).Inc()
			hidden := h.cfg.Site.Handle(func(http.ResponseWriter, *http.Request) error { return web.NoSuchPath(errNoGateway) })
			web.OwnHeaders(h.cfg.Site.CORS(hidden)).ServeHTTP(w, r)
			return
		}
		ask, err := h.readVerification(r)
		if err == nil {
			err = h.answerGateway(w.Header(), r, ask)
		}
		if err != nil {
			p := web.AsProblem(err)
			h.metrics.Verifications.WithLabelValues(string(p.Code)).Inc()
			w.Header()["Set-Cookie"] = append(w.Header()["Set-Cookie"], p.Header["Set-Cookie"]...)
			p.Header.Del("Set-Cookie")
			ask.number(w.Header())
			web.WriteBare(w, r, p)
			return
		}
		h.metrics.Verifications.WithLabelValues("ok").Inc()
		ask.number(w.Header())
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
	})
}

// fromGateway compares in constant time. A secret that stands there twice is
// refused: one of them is not the gateway's.
func (h *Handler) fromGateway(r *http.Request) bool {
	shown := r.Header[gatewayHeader]
	return len(shown) == 1 && secret.New(shown[0]).Equal(h.cfg.VerifySecret)
}

// verification is what a gateway's configuration asks for.
type verification struct {
	scopes, groups []string
	// numbered puts cookies into headers of their own.
	numbered bool
}

// readVerification reads the query. All in it is the gateway's own words, so
// nothing is ignored: a misspelt group= must not let everybody in.
//
// Envoy is the exception below /verify/envoy/: it puts the original path and
// query behind its prefix and keeps the method. Those are the client's words,
// and say nothing here.
func (h *Handler) readVerification(r *http.Request) (verification, error) {
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

// answerGateway fills the answer's header. The error is a [*web.Problem].
func (h *Handler) answerGateway(header http.Header, r *http.Request, ask verification) error {
	if err := h.cfg.Site.Admit(r); err != nil {
		return err
	}
	grant, err := h.Authorize(r, 0)
	if err != nil {
		return err
	}
	grant.Commit(header)
	if !grant.Permits(ask.scopes, ask.groups) {
		return web.NewProblem(web.CodeInsufficientScope, "the session lacks a scope or group", errNotPermitted)
	}
	header.Set("Authorization", "Bearer "+grant.AccessToken().Reveal())
	// Always there, if only empty: a gateway that copies what it finds would else
	// pass on what the client wrote into them.
	header.Set(subjectHeader, headerSubject(grant.Subject()))
	header.Set(groupsHeader, headerGroups(grant.permissions().groups))
	return nil
}

// number moves the cookies to headers of their own, if asked to.
func (v verification) number(header http.Header) {
	if !v.numbered {
		return
	}
	for i, cookie := range header["Set-Cookie"] {
		header.Set(cookieHeader+strconv.Itoa(i+1), cookie)
	}
	header.Del("Set-Cookie")
}

// headerSubject is the sub, or empty if a header cannot hold it as it is. It is
// never rewritten: two users must not become one.
func headerSubject(sub string) string {
	if len(sub) > maxSubject || !isVisible(sub) {
		return ""
	}
	return sub
}

// headerGroups is the list of those groups that it can hold as they are. Cognito
// allows every punctuation in a name: a group "users,admins" must not make an
// admin. What is left out can only be missing; the token has all of them.
func headerGroups(groups []string) string {
	var kept []string
	for _, group := range groups {
		if group != "" && isVisible(group) && !strings.ContainsAny(group, `,;"\`) {
			kept = append(kept, group)
		}
	}
	return strings.Join(kept, ",")
}

// isVisible: RFC 9110 §5.5's VCHAR only, so without spaces too.
func isVisible(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}
