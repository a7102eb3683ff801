package oauthproxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"cognito-token-handler/tokenhandler/web"
)

// call is one request on its way.
type call struct {
	handler *Handler
	route   *route
	client  *http.Request
	// grant is nil on an anonymous route without a session.
	grant Grant
	// cleared are cookies to remove: an anonymous request with a dead session.
	cleared http.Header
	timer   *time.Timer
	start   time.Time
}

type callKey struct{}

func callOf(r *http.Request) *call {
	c, _ := r.Context().Value(callKey{}).(*call)
	return c
}

var errUpstreamSlow = errors.New("the upstream did not answer in time")

// authorize gets the grant. A route with token none still needs a session,
// unless it is anonymous.
func (c *call) authorize() error {
	grant, err := c.handler.cfg.Tokens.Authorize(c.client)
	if err == nil {
		c.grant = grant
		return nil
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
	ctx, cancel := context.WithCancelCause(context.WithValue(c.client.Context(), callKey{}, c))
	defer cancel(nil)
	c.timer = time.AfterFunc(c.route.Timeout, func() { cancel(errUpstreamSlow) })
	defer c.timer.Stop()
	r := c.client.WithContext(ctx)
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &movingBody{ReadCloser: http.MaxBytesReader(w, r.Body, c.route.MaxBody), call: c}
	}
	c.route.proxy.ServeHTTP(w, r)
}

// movingBody restarts the call's time-out with every read.
type movingBody struct {
	io.ReadCloser

	call *call
}

func (b *movingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.call.timer.Stop() {
		b.call.timer.Reset(b.call.route.Timeout)
	}
	return n, err //nolint:wrapcheck // io.EOF must stay what it is
}

// answered is ReverseProxy's ModifyResponse: the upstream's header is there.
func (h *Handler) answered(answer *http.Response) error {
	c := callOf(answer.Request)
	c.timer.Stop()
	cleanAnswer(answer.Header, c.grant != nil)
	c.commit(answer.Header)
	h.count(c, answer.StatusCode)
	return nil
}

func (c *call) commit(header http.Header) {
	if c.grant != nil {
		c.grant.Commit(header)
	}
	for name, values := range c.cleared {
		if name == "Cache-Control" {
			header[name] = values
		} else {
			header[name] = append(header[name], values...)
		}
	}
}

// failed is ReverseProxy's ErrorHandler: there is no answer of the upstream's.
// Its error text can hold addresses of the inside, so it goes to the log only.
func (h *Handler) failed(w http.ResponseWriter, r *http.Request, err error) {
	c := callOf(r)
	if c.client.Context().Err() != nil {
		panic(http.ErrAbortHandler) // nobody is there to be told
	}
	var p *web.Problem
	switch tooLarge, isTooLarge := errors.AsType[*http.MaxBytesError](err); {
	case isTooLarge:
		p = web.AsProblem(tooLarge)
	case errors.Is(context.Cause(r.Context()), errUpstreamSlow):
		p = web.NewProblem(web.CodeUpstreamTimeout, "the API did not answer in time", errUpstreamSlow)
		h.metrics.UpstreamErrors.WithLabelValues(c.route.Path, "timeout").Inc()
	default:
		p = web.NewProblem(web.CodeUpstreamError, "the API could not be reached", err)
		h.metrics.UpstreamErrors.WithLabelValues(c.route.Path, "unreachable").Inc()
	}
	h.count(c, p.Status())
	c.commit(w.Header())
	h.cfg.Site.WriteProblem(w, c.client, p)
}

func (h *Handler) count(c *call, status int) {
	h.metrics.Requests.WithLabelValues(c.route.Path, strconv.Itoa(status)).Inc()
	h.metrics.Seconds.WithLabelValues(c.route.Path).Observe(h.cfg.Site.Now().Sub(c.start).Seconds())
}
