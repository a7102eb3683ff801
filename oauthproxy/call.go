package oauthproxy

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"cognito-token-handler/oauthproxy/socket"
	"cognito-token-handler/tokenhandler/web"
)

// call is one request on its way through the proxy.
type call struct {
	handler *Handler
	route   *route
	// client is the client's request, writer its response.
	client *http.Request
	writer http.ResponseWriter
	// out is the upstream's request. Its context ends with the call, or when cancel is
	// called with the reason.
	out    *http.Request
	cancel context.CancelCauseFunc
	// grant is nil on an anonymous route without a session.
	grant Grant
	slot  slot
	// context is the beginning of out's context.
	context callContext
	// expiredCookies remove the cookies of a session that has ended, on an anonymous route.
	expiredCookies []string
	// timeout is stopped when the response has begun.
	timeout timeout
	start   time.Time
	// body is the client's; it is nil if there is none. kept is the whole body, if it
	// was kept so that the request can be sent again.
	body *requestBody
	kept []byte
	// resent is how often the request was sent again.
	resent int
	// responseBody is the upstream's. It is here to save an allocation.
	responseBody responseBody
	// outURL and headerValues are what out's URL and most of its header point to. They
	// are here to save allocations.
	outURL       url.URL
	headerValues [6]string
}

// callContext is a context that knows its call. net/http opens connections with the values of
// a request's context.
type callContext struct {
	context.Context //nolint:containedctx // it is the request's context

	call *call
}

type callKey struct{}

// Value implements [context.Context].
func (c *callContext) Value(key any) any {
	if _, ok := key.(callKey); ok {
		return c.call
	}
	return c.Context.Value(key)
}

// proxyName is the name of this proxy in Proxy-Status (RFC 9209).
const proxyName = "token-handler"

var (
	errUpstreamTimeout = fmt.Errorf("waiting for the upstream: %w", os.ErrDeadlineExceeded)
	errSessionEnded    = errors.New("the session ended during the request")
	errInvalidStatus   = errors.New("the upstream's response has a status that is not valid here")
)

// serve forwards the request and writes the response. The route's time-out starts
// anew whenever a part of the body is read: a large upload may take its time.
func (c *call) serve() {
	c.start = c.handler.cfg.Site.Now()
	c.route.inFlight.Inc()
	defer c.route.inFlight.Dec()
	c.context = callContext{Context: c.client.Context(), call: c}
	ctx, cancel := context.WithCancelCause(&c.context)
	defer cancel(nil)
	c.cancel = cancel
	// A response without a type must stay without: net/http would guess one, and what it
	// takes for HTML would become a page of the app's origin.
	c.writer.Header()["Content-Type"] = nil
	c.out = c.newRequest(ctx)
	c.timeout.call = c
	c.timeout.start(c.grant != nil && !socket.IsUpgrade(c.client))
	defer c.timeout.end()
	err := c.keepBody()
	if err == nil {
		err = c.exchange()
	}
	if err != nil {
		c.fail(err)
	}
}

// exchange sends the request and passes the response on. After an error nothing has
// been written.
func (c *call) exchange() error {
	if !socket.IsUpgrade(c.client) {
		response, err := c.roundTrip(c.out)
		if err != nil {
			return err
		}
		return c.respond(response)
	}
	upstream, response, err := socket.Connect(c.out, c.roundTrip)
	switch {
	case err != nil:
		return err
	case upstream != nil:
		c.serveSocket(upstream)
		return nil
	}
	if c.grant != nil { // the response to a handshake that was not accepted may be endless, too
		c.watch(c.out.Context(), endedRequest, func() { c.cancel(errSessionEnded) })
	}
	return c.respond(response)
}

// roundTrip returns when the upstream's header has arrived, which ends the time-out.
func (c *call) roundTrip(out *http.Request) (*http.Response, error) {
	response, err := c.send(out)
	c.timeout.stop()
	return response, err
}

// respond passes the upstream's response on. If the body breaks off, so does the
// client's response: it must not look complete.
func (c *call) respond(response *http.Response) error {
	if response.StatusCode < http.StatusOK || response.StatusCode > 999 {
		_ = response.Body.Close()
		return errInvalidStatus // a 101, for example, to a request without an upgrade
	}
	if isEndless(response) && isEventStream(response.Header) && !c.slot.becomeStream() {
		_ = response.Body.Close()
		return errTooMany
	}
	c.route.rewriteResponse(response, c.grant != nil)
	if response.StatusCode == http.StatusUnauthorized {
		// An app must be able to tell the API's 401 from ours, after which a new login
		// helps (RFC 9209 §2.1.1).
		response.Header.Add("Proxy-Status", proxyName+"; received-status=401")
	}
	c.addCookies(response.Header)
	c.count(response.StatusCode)
	c.responseBody = responseBody{ReadCloser: response.Body, call: c}
	response.Body = &c.responseBody
	if isEndlessEventStream(response, c.client.Method) {
		response.Body = newEventStream(c, response.Body)
	}
	defer func() { _ = response.Body.Close() }()
	h := c.writer.Header()
	for name, values := range response.Header {
		if own := h[name]; len(own) > 0 {
			values = append(own, values...)
		}
		h[name] = values
	}
	c.writer.WriteHeader(response.StatusCode)
	buffer := c.handler.buffers.get()
	flush := response.ContentLength < 0 || isEventStream(response.Header)
	if err := copyBody(c.writer, response.Body, buffer[:], flush); err != nil {
		if c.client.Context().Err() == nil {
			c.handler.cfg.Log.DebugContext(c.client.Context(), "forwarding a response body failed", "err", withoutUpstreamText(err))
		}
		web.NoteInterrupted(c.client, c.interruptedBy(err))
		// The buffer is not used again: after a Write that has failed over HTTP/2, net/http
		// may still be sending from it, and would send another client's response.
		panic(http.ErrAbortHandler)
	}
	c.handler.buffers.put(buffer)
	return nil
}

// interruptedBy says who caused err, an error of copyBody.
func (c *call) interruptedBy(err error) string {
	switch {
	case errors.Is(context.Cause(c.out.Context()), errSessionEnded):
		return web.BySession
	case errors.Is(err, errNotTaken), c.client.Context().Err() != nil:
		return web.ByClient
	}
	return web.ByUpstream
}

// serveSocket answers the handshake and runs the WebSocket until it is closed.
func (c *call) serveSocket(upstream *socket.Upstream) {
	defer upstream.Close()
	c.addCookies(upstream.Header)
	c.count(http.StatusSwitchingProtocols)
	conn, err := upstream.Accept(c.writer, c.handler.cfg.Site.Now, c.handler.metrics.Sockets, c.route.Path)
	if err != nil {
		return // the client's connection broke
	}
	c.handler.open.add(webSocket{conn})
	defer c.handler.open.remove(webSocket{conn})
	if c.grant != nil {
		// Messages do not keep the session alive, and an idle WebSocket is not closed. The
		// context of out may have ended, if the time-out expired just when the 101 arrived.
		ctx, cancel := context.WithCancel(c.client.Context())
		defer cancel()
		c.watch(ctx, endedSocket, func() { conn.Close(socket.StatusSessionEnded, "session ended") })
	}
	conn.Run()
}

// watch calls end if the session ends before ctx. If the response has begun, the
// client sees it break off: it must not take half of it for the whole.
func (c *call) watch(ctx context.Context, kind string, end func()) {
	ended := c.grant.Watch(ctx)
	context.AfterFunc(ended, func() {
		if ctx.Err() == nil {
			c.handler.metrics.Ended.WithLabelValues(c.route.Path, kind).Inc()
			end()
		}
	})
}

// addCookies adds the session's cookies. No cache may keep a response that contains
// one, whatever the upstream's headers for caches and CDNs say (CVE-2025-48947 of
// Auth0's nextjs-auth0).
func (c *call) addCookies(h http.Header) {
	if c.grant != nil {
		c.grant.Commit(h)
	}
	for _, cookie := range c.expiredCookies {
		h.Add("Set-Cookie", cookie)
	}
	if len(h["Set-Cookie"]) > 0 {
		h.Set("Cache-Control", "no-store")
		deleteCDNCacheControl(h)
	}
}

// fail answers a request for which there is no response of the upstream's.
func (c *call) fail(err error) {
	if c.client.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	p := c.problem(err)
	c.count(p.Status())
	c.addCookies(c.writer.Header())
	c.handler.cfg.Site.WriteProblem(c.writer, c.client, p)
}

// problem chooses the error response. The text of err goes to the log only, because it
// can contain internal addresses.
func (c *call) problem(err error) *web.Problem {
	cause := context.Cause(c.out.Context())
	if errors.Is(cause, errSessionEnded) {
		return web.NewProblem(web.CodeSessionExpired, "the session ended during the request; log in again", errSessionEnded)
	}
	if errors.Is(err, errTooMany) {
		return c.tooMany(true)
	}
	if c.body != nil {
		if failure := c.body.failure.Load(); failure != nil {
			if tooLarge, ok := errors.AsType[*http.MaxBytesError](*failure); ok {
				return web.AsProblem(tooLarge)
			}
			return web.NewProblem(web.CodeInvalidRequest, "the request body broke off", *failure)
		}
	}
	if errors.Is(cause, errUpstreamTimeout) {
		c.countUpstreamError(errorTimeout)
		return web.NewProblem(web.CodeUpstreamTimeout, "the API did not answer in time", errUpstreamTimeout)
	}
	c.countUpstreamError(errorKind(err))
	return web.NewProblem(web.CodeUpstreamError, "the API could not be reached", withoutUpstreamText(err))
}

func (c *call) countUpstreamError(kind string) {
	c.handler.metrics.UpstreamErrors.WithLabelValues(c.route.Path, kind).Inc()
}

func (c *call) count(status int) {
	c.route.responses.with(status).Inc()
	c.route.seconds.Observe(c.handler.cfg.Site.Now().Sub(c.start).Seconds())
}
