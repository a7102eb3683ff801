package oauthproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"cognito-token-handler/tokenhandler/web"
)

// call is one request on its way, and its context.
type call struct {
	context.Context //nolint:containedctx // it is one

	handler *Handler
	route   *route
	client  *http.Request
	// grant is nil on an anonymous route without a session.
	grant Grant
	// cleared are cookies to remove: an anonymous request with a dead session.
	cleared http.Header
	timer   *time.Timer
	start   time.Time
	// writer is the client's, cancel ends the upstream's request.
	writer http.ResponseWriter
	cancel context.CancelCauseFunc
	// answering: the answer has begun, and with it the time-out ended.
	answering atomic.Bool
	// broken is why the client's body ended early, if it did.
	broken atomic.Pointer[error]
	// body is the client's, nil if there is none; kept is all of it, if it may be
	// sent again.
	body *movingBody
	kept []byte
	// resent is how often the request was sent again.
	resent int
	// answer is the upstream's body.
	answer answerBody
	// key is that of a WebSocket's handshake, else empty; tunnel is the upstream's
	// connection once it has agreed to one, accepted the header that says so.
	key      string
	tunnel   io.ReadWriteCloser
	accepted http.Header
}

// watchAfter is how long a request may take until its session is watched: most
// are over by then, and need not pay for it. What happened to the session before
// is found out then.
const watchAfter = time.Second

type callKey struct{}

// Value implements [context.Context].
func (c *call) Value(key any) any {
	if _, ours := key.(callKey); ours {
		return c
	}
	return c.Context.Value(key)
}

func callOf(r *http.Request) *call {
	c, _ := r.Context().Value(callKey{}).(*call)
	return c
}

// proxyName is ours in Proxy-Status (RFC 9209).
const proxyName = "token-handler"

var (
	errUpstreamSlow = fmt.Errorf("waiting for the upstream: %w", os.ErrDeadlineExceeded)
	errSessionOver  = errors.New("the session ended during the request")
	errNoAnswer     = errors.New("the upstream answered with a status that is no answer")
)

// authorize gets the grant, if the route is open to its user. A route with token
// none still needs a session, unless it is anonymous.
func (c *call) authorize() error {
	grant, err := c.handler.cfg.Tokens.Authorize(c.client, c.route.Probe)
	if err == nil {
		c.grant = grant
		return c.permit()
	}
	p := web.AsProblem(err)
	if c.route.Anonymous && p.Status() == http.StatusUnauthorized {
		c.cleared = p.Header
		return nil
	}
	return p
}

// serve forwards the request under the route's time-out, which every byte of
// the body starts anew: a large upload may take its time.
func (c *call) serve(w http.ResponseWriter) {
	c.start = c.handler.cfg.Site.Now()
	c.route.inFlight.Inc()
	defer c.route.inFlight.Dec()
	ctx, cancel := context.WithCancelCause(c.client.Context())
	defer cancel(nil)
	c.Context, c.writer, c.cancel = ctx, w, cancel
	c.timer = time.AfterFunc(c.route.Timeout, func() { cancel(errUpstreamSlow) })
	defer c.timer.Stop()
	if c.grant != nil && c.key == "" {
		defer time.AfterFunc(watchAfter, func() { c.watch(ctx, cancel) }).Stop()
	}
	// An answer without a type stays one: net/http would guess, and what it takes
	// for HTML becomes a page of the app's origin.
	w.Header()["Content-Type"] = nil
	r := c.client.WithContext(c)
	if r.Body != nil && r.Body != http.NoBody {
		c.body = &movingBody{ReadCloser: http.MaxBytesReader(w, r.Body, c.route.MaxBody), call: c}
		r.Body = c.body
		if err := c.keepBody(r); err != nil {
			c.handler.failed(w, r, err)
			return
		}
	}
	c.route.proxy.ServeHTTP(w, r)
}

// watch ends the request when its session is over. If the answer has begun, the
// client sees it break off: it must not take half of it for the whole.
func (c *call) watch(ctx context.Context, end context.CancelCauseFunc) {
	over := c.grant.Watch(ctx)
	context.AfterFunc(over, func() {
		if ctx.Err() == nil {
			c.handler.metrics.Ended.WithLabelValues(c.route.Path, "request").Inc()
			end(errSessionOver)
		}
	})
}

// answered is ReverseProxy's ModifyResponse: the upstream's header is there. A
// 101 to a WebSocket's handshake is taken out of its hands, see [Handler.failed];
// any other would make a tunnel, though none was asked for.
func (h *Handler) answered(answer *http.Response) error {
	c := callOf(answer.Request)
	c.answering.Store(true)
	c.timer.Stop()
	if answer.StatusCode == http.StatusSwitchingProtocols && c.key != "" {
		return c.switched(answer)
	}
	if answer.StatusCode < http.StatusOK || answer.StatusCode > 999 {
		return errNoAnswer
	}
	if answer.StatusCode == http.StatusUnauthorized {
		// So that an app can tell it from ours, of which a new login is the cure (RFC 9209 §2.1.1).
		answer.Header.Add("Proxy-Status", proxyName+"; received-status=401")
	}
	c.answer = answerBody{ReadCloser: answer.Body, call: c}
	answer.Body = &c.answer
	c.route.cleanAnswer(answer, c.grant != nil)
	c.commit(answer.Header)
	h.count(c, answer.StatusCode)
	if isEventStream(answer) {
		h.follow(c, answer)
	}
	return nil
}

// commit adds our cookies. No cache may keep an answer that holds one
// (CVE-2025-48947 of a peer), whatever the upstream or a CDN's own header says.
func (c *call) commit(header http.Header) {
	if c.grant != nil {
		c.grant.Commit(header)
	}
	for _, cookie := range c.cleared["Set-Cookie"] {
		header.Add("Set-Cookie", cookie)
	}
	if len(header["Set-Cookie"]) > 0 {
		header.Set("Cache-Control", "no-store")
		deleteCDNControl(header)
	}
}

// failed is ReverseProxy's ErrorHandler: there is no answer of the upstream's, or
// its connection has become a WebSocket's. An error's text can hold addresses of
// the inside, so it goes to the log only.
func (h *Handler) failed(w http.ResponseWriter, r *http.Request, err error) {
	c := callOf(r)
	if errors.Is(err, errSwitched) {
		h.serveSocket(w, c)
		return
	}
	if c.client.Context().Err() != nil {
		panic(http.ErrAbortHandler) // nobody is there to be told
	}
	p := c.problem(r, err)
	h.count(c, p.Status())
	c.commit(w.Header())
	h.cfg.Site.WriteProblem(w, c.client, p)
}

func (c *call) problem(r *http.Request, err error) *web.Problem {
	if errors.Is(context.Cause(r.Context()), errSessionOver) {
		return web.NewProblem(web.CodeSessionExpired, "the session ended during the request; log in again", errSessionOver)
	}
	if broken := c.broken.Load(); broken != nil {
		if tooLarge, ok := errors.AsType[*http.MaxBytesError](*broken); ok {
			return web.AsProblem(tooLarge)
		}
		return web.NewProblem(web.CodeInvalidRequest, "the request body broke off", *broken)
	}
	if errors.Is(context.Cause(r.Context()), errUpstreamSlow) {
		c.upstreamFailed("timeout")
		return web.NewProblem(web.CodeUpstreamTimeout, "the API did not answer in time", errUpstreamSlow)
	}
	c.upstreamFailed(failure(err))
	return web.NewProblem(web.CodeUpstreamError, "the API could not be reached", plain(err))
}

func (c *call) upstreamFailed(kind string) {
	c.handler.metrics.UpstreamErrors.WithLabelValues(c.route.Path, kind).Inc()
}

func (h *Handler) count(c *call, status int) {
	h.metrics.Requests.WithLabelValues(c.route.Path, strconv.Itoa(status)).Inc()
	c.route.seconds.Observe(h.cfg.Site.Now().Sub(c.start).Seconds())
}
