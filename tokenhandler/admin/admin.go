package admin

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/limit"
	"cognito-token-handler/tokenhandler/replicas"
	"cognito-token-handler/tokenhandler/secret"
	"cognito-token-handler/tokenhandler/web"
)

// Config is what a [Handler] needs.
type Config struct {
	// Site writes the answers. Required.
	Site *web.Site
	// Tokens are the operators' bearer tokens (RFC 6750 §2.1), by the name of whoever has
	// it. Required.
	Tokens map[string]secret.String
	// Revoke ends the sessions that an entry names: in this process at once, in other
	// replicas when the entry has reached them. Required.
	Revoke func(ctx context.Context, revocation replicas.Revocation) error
	// Lift takes back what operators have revoked with this kind and name as far as this
	// process knows, and reports whether it knows of anything. Sessions that have ended
	// already stay ended. Required.
	Lift func(ctx context.Context, kind replicas.Kind, name string) (found bool, err error)
	// Entries returns the deny list. Required.
	Entries func() []replicas.Revocation
	// Current reports whether the deny list has the entries of all replicas. Nil means that
	// there are no others.
	Current func() bool
	// SessionLifetime is the longest life of a session, for which an entry is kept.
	// Required.
	SessionLifetime time.Duration
	// WrongTokens counts the requests of a client with a token that is not valid. Nil limits
	// none.
	WrongTokens *limit.Limit
	// Now is the clock. Required.
	Now func() time.Time
	// Log receives every revocation. Required.
	Log *slog.Logger
	// Audit records revocations and refused requests; nil records nothing.
	Audit *audit.Trail
}

// Handler serves /admin.
type Handler struct {
	cfg Config
	mux *http.ServeMux

	mu     sync.RWMutex
	tokens map[string]secret.String // name → token
}

// New returns a Handler.
func New(cfg Config) *Handler {
	h := &Handler{cfg: cfg, mux: http.NewServeMux(), tokens: maps.Clone(cfg.Tokens)}
	revocations := cfg.Site.Methods(cfg.Site.Handle(h.revocations), http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete)
	h.mux.Handle("/admin/revocations", revocations)
	h.mux.Handle("/", cfg.Site.NotFound())
	return h
}

// ReplaceToken replaces the token with this name: from now on only the new one is accepted.
func (h *Handler) ReplaceToken(name string, token secret.String) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tokens[name] = token
}

// ServeHTTP implements [http.Handler]. Without the token every path is answered 401,
// so that the answer does not show which paths exist. A client that has sent too many wrong
// tokens is refused before its token is looked at: it could be guessing. A request without
// any does not count, because it is no guess: every web page can make an operator's browser
// send such requests, and would lock the operator out.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h.cfg.WrongTokens.CheckClient(r); err != nil {
		h.cfg.Site.WriteProblem(w, r, err)
		return
	}
	if operator := h.operator(r); operator != "" {
		h.mux.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), operatorKey{}, operator)))
		return
	}
	if len(r.Header["Authorization"]) > 0 {
		_ = h.cfg.WrongTokens.TakeClient(r)
	}
	h.cfg.Audit.Note(r.Context(), audit.Event{Name: audit.AdminDenied, Failed: true, Anonymous: true, Cause: string(web.CodeNotAuthenticated), Target: web.Excerpt(r.URL.Path, maxTarget), Caller: h.cfg.Site.CallerOf(r)})
	problem := web.NewProblem(web.CodeNotAuthenticated, "send admin.token as bearer token", nil).WithHeader("WWW-Authenticate", "Bearer")
	h.cfg.Site.WriteProblem(w, r, problem)
}

// operatorKey is the key of the operator's name in a request's context. It is looked up
// once: the token may be replaced before the request is done.
type operatorKey struct{}

// maxTarget is the largest length of a path in an event.
const maxTarget = 256

// operator returns the name of the token that the request carries, or "". It compares in
// constant time with every token. An empty token is never equal.
func (h *Handler) operator(r *http.Request) (name string) {
	values := r.Header["Authorization"]
	if len(values) != 1 {
		return ""
	}
	scheme, text, _ := strings.Cut(values[0], " ")
	token := secret.New(text)
	h.mu.RLock()
	defer h.mu.RUnlock()
	for known, value := range h.tokens {
		if value.Equal(token) && strings.EqualFold(scheme, "Bearer") {
			name = known
		}
	}
	return name
}

func (h *Handler) revocations(w http.ResponseWriter, r *http.Request) error {
	switch r.Method {
	case http.MethodPost:
		return h.revoke(w, r)
	case http.MethodDelete:
		return h.lift(w, r)
	}
	list := make([]entryBody, 0)
	for _, entry := range h.cfg.Entries() {
		list = append(list, bodyOf(entry))
	}
	web.WriteJSON(w, r, http.StatusOK, map[string]any{"revocations": list})
	return nil
}

// revocationRequest is the body of POST and DELETE /admin/revocations. One of Sub and
// SessionID is set.
type revocationRequest struct {
	// Sub means all sessions of this user that have begun.
	Sub string `json:"sub"`
	// SessionID means one session. It is the session's name in the logs.
	SessionID string `json:"session_id"`
	// Reason is why, for the audit trail. It may be missing.
	Reason string `json:"reason"`
}

// maxReason is the largest length of a reason in bytes.
const maxReason = 1024

// entryBody is one revocation in an answer.
type entryBody struct {
	Sub       string `json:"sub,omitempty"`
	SessionID string `json:"session_id,omitempty"`
	// SID is a session at the provider (OpenID Connect Back-Channel Logout 1.0 §2.1).
	SID string `json:"sid,omitempty"`
	// BegunBefore means that sessions that begin later are not ended. It is absent for
	// one session.
	BegunBefore string `json:"begun_before,omitempty"`
	// By is "operator" for what DELETE can take back. It is absent for logouts, and for what
	// a release revoked that did not tell.
	By string `json:"by,omitempty"`
	// Until is when no session that the entry names can exist any more (RFC 3339, UTC).
	Until string `json:"until"`
}

func bodyOf(e replicas.Revocation) entryBody {
	body := entryBody{Until: e.Until.UTC().Format(time.RFC3339)}
	switch e.Kind {
	case replicas.KindSession:
		body.SessionID = e.Name
	case replicas.KindSubject:
		body.Sub = e.Name
	case replicas.KindProviderSession:
		body.SID = e.Name
	}
	if e.Operator {
		body.By = byOperator
	}
	if !e.Before.IsZero() {
		body.BegunBefore = e.Before.UTC().Format(time.RFC3339Nano)
	}
	return body
}

const (
	maxBody    = 4 << 10
	byOperator = "operator"
)

// parse reads the body of a request. The entry has no times. The error is a
// [*web.Problem].
func parse(w http.ResponseWriter, r *http.Request) (entry replicas.Revocation, reason string, err error) {
	var request revocationRequest
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&request); err != nil {
		if problem := web.AsProblem(err); problem.Code == web.CodeTooLarge {
			return entry, "", problem
		}
		return entry, "", web.NewProblem(web.CodeInvalidRequest, usage, errors.New("the body is no revocation request"))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) || (request.Sub == "") == (request.SessionID == "") {
		return entry, "", web.NewProblem(web.CodeInvalidRequest, usage, nil)
	}
	if len(request.Reason) > maxReason {
		return entry, "", web.NewProblem(web.CodeInvalidRequest, "reason has more than 1,024 bytes", nil)
	}
	entry = replicas.Revocation{Kind: replicas.KindSubject, Name: request.Sub, Operator: true}
	if request.SessionID != "" {
		entry.Kind, entry.Name = replicas.KindSession, strings.ToLower(request.SessionID)
	}
	if err := entry.CheckName(); err != nil {
		return entry, "", web.NewProblem(web.CodeInvalidRequest, "session_id is 16 hexadecimal digits, as logs show it; sub at most 255 bytes", err)
	}
	return entry, request.Reason, nil
}

// revoke answers 202: the sessions have ended in this process, and other replicas
// follow.
func (h *Handler) revoke(w http.ResponseWriter, r *http.Request) error {
	entry, reason, err := parse(w, r)
	if err != nil {
		return err
	}
	now := h.cfg.Now()
	entry.Until = now.Add(h.cfg.SessionLifetime)
	if entry.Kind == replicas.KindSubject {
		entry.Before = now
	}
	err = h.cfg.Revoke(r.Context(), entry)
	h.note(r, audit.Revoked, entry, reason, err != nil)
	if err != nil {
		return web.NewProblem(web.CodeInternal, "an internal error occurred", err)
	}
	h.log(r, "sessions revoked by an operator", entry)
	web.WriteJSON(w, r, http.StatusAccepted, bodyOf(entry))
	return nil
}

// lift answers 204: what operators have revoked, as far as this process knows, is taken back
// here, and other replicas follow. What else is on the deny list, such as logouts, cannot be
// taken back. If nothing is found while entries of other replicas may be missing, it answers
// 503: the revocation may be in force there.
func (h *Handler) lift(w http.ResponseWriter, r *http.Request) error {
	entry, reason, err := parse(w, r)
	if err != nil {
		return err
	}
	current := h.cfg.Current == nil || h.cfg.Current() // before, because the entry may come in between
	found, err := h.cfg.Lift(r.Context(), entry.Kind, entry.Name)
	h.note(r, audit.RevocationLifted, entry, reason, err != nil || !found)
	switch {
	case err != nil:
		return web.NewProblem(web.CodeInternal, "an internal error occurred", err)
	case !found && !current:
		return web.NewProblem(web.CodeStoreUnavailable, "this replica knows no such revocation, and does not have all entries of the others while the session store is out; try again", nil).RetryAfter(0)
	case !found:
		return web.NewProblem(web.CodeNotFound, "this replica knows no revocation by an operator that is in force for this name; logouts, and what the provider revoked, cannot be taken back", nil)
	}
	h.log(r, "revocation taken back by an operator", entry)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func operatorOf(r *http.Request) string {
	operator, _ := r.Context().Value(operatorKey{}).(string)
	return operator
}

func (h *Handler) log(r *http.Request, message string, entry replicas.Revocation) {
	h.cfg.Log.InfoContext(r.Context(), message, "kind", string(entry.Kind), "name", entry.Name, "operator", operatorOf(r), "request_id", web.RequestID(r), "client_ip", h.cfg.Site.ClientAddress(r)) //nolint:sloglint // the callers pass constants
}

// note records what an operator did with an entry.
func (h *Handler) note(r *http.Request, event string, entry replicas.Revocation, reason string, failed bool) {
	e := audit.Event{Name: event, Failed: failed, By: "operator:" + operatorOf(r), Target: "session:" + entry.Name, Session: entry.Name, Reason: reason, Caller: h.cfg.Site.CallerOf(r)}
	if entry.Kind == replicas.KindSubject {
		e.Target, e.Session, e.Subject = "sub:"+entry.Name, "", entry.Name
	}
	h.cfg.Audit.Note(r.Context(), e)
}

const usage = `send {"sub":"…"} or {"session_id":"…"}, and "reason" if you like`
