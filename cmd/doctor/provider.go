package doctor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/cognito"
	"cognito-token-handler/tokenhandler/provider"
)

// provider examines the provider, and then how it knows this client.
func (d *doctor) provider(ctx context.Context) []Finding {
	issuer, err := url.Parse(d.Service.Provider.Issuer)
	if err != nil {
		return []Finding{fault(AreaProvider, "provider.issuer is no URL.", "See `tokenhandler check`.")}
	}
	found, ok := d.reachProvider(ctx, "The provider", issuer)
	if !ok {
		return found
	}
	clock := &clockReader{next: d.web, now: d.Now}
	cfg := app.ProviderConfig(d.Service, d.Now, slog.New(slog.DiscardHandler))
	cfg.Transport, cfg.Timeout = clock, d.Call
	connected := cognito.New(cfg)
	err = connected.Connect(ctx)
	if finding, known := clock.finding(); known {
		found = append(found, finding)
	}
	if err != nil {
		return append(found, notConnected(err))
	}
	found = append(found, good(AreaProvider, "The provider names itself %s, as provider.issuer does, and publishes keys that can be used.", quoted(d.Service.Provider.Issuer)))
	return append(found, d.client(ctx, connected, issuer)...)
}

// reachProvider connects to a host of the provider, unless a proxy does.
func (d *doctor) reachProvider(ctx context.Context, name string, u *url.URL) ([]Finding, bool) {
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); proxy != nil && err == nil {
		return []Finding{good(AreaProvider, "%s is called through the proxy at %s.", name, quoted(proxy.Host))}, true
	}
	finding, ok := d.reach(ctx, ofURL(AreaProvider, name, u))
	return []Finding{finding}, ok
}

// notConnected is the finding for a provider that was reached and cannot be used.
func notConnected(err error) Finding {
	cure := "Check that provider.issuer is the provider's issuer; a browser shows the document at provider.issuer and /.well-known/openid-configuration."
	switch {
	case errors.Is(err, provider.ErrMisconfigured):
		cure = "Write provider.issuer exactly as the document has it; a user pool needs a domain."
	case errors.Is(err, provider.ErrUnavailable):
		cure = "Look at the provider's status, and at proxies and firewalls in between."
	}
	return fault(AreaProvider, "The provider cannot be used: "+err.Error()+".", cure)
}

const (
	// clockTolerance is the difference of two clocks below which nothing is said. Tokens are
	// refused from clockLimit on.
	clockTolerance = 30 * time.Second
	clockLimit     = time.Minute
)

// clockReader compares this machine's clock with the Date of the first answer (RFC 9110
// §6.6.1).
type clockReader struct {
	next http.RoundTripper
	now  func() time.Time

	mu    sync.Mutex
	ahead time.Duration // of this clock
	known bool
}

// RoundTrip implements [http.RoundTripper].
func (c *clockReader) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := c.now()
	answer, err := c.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	received := c.now()
	if date, ok := clockOf(answer.Header); ok {
		c.note(sent.Add(received.Sub(sent) / 2).Sub(date.Add(time.Second / 2))) // Date has whole seconds
	}
	return answer, nil
}

// clockOf returns the clock of the server. The Date of a cached answer is when it was made
// or last confirmed; Age is how many seconds ago that was (RFC 9111 §5.1). It reports false
// if there is no Date, or an Age that is no number.
func clockOf(h http.Header) (time.Time, bool) {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return time.Time{}, false
	}
	age := uint64(0)
	if text := h.Get("Age"); text != "" {
		age, err = strconv.ParseUint(text, 10, 31)
	}
	return date.Add(time.Duration(age) * time.Second), err == nil
}

func (c *clockReader) note(ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known {
		c.ahead, c.known = ahead, true
	}
}

// finding reports false if no answer had a Date.
func (c *clockReader) finding() (Finding, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	direction := "ahead of"
	if c.ahead < 0 {
		direction = "behind"
	}
	differ := c.ahead.Abs().Round(time.Second)
	if differ <= clockTolerance {
		return good(AreaProvider, "The clocks here and at the provider differ by at most %s.", differ+time.Second), c.known
	}
	what := fmt.Sprintf("The clock here is %s %s the provider's.", differ, direction)
	const cure = "Synchronise the clock of this machine (NTP)."
	if differ < clockLimit {
		return warning(AreaProvider, what, cure), c.known
	}
	return fault(AreaProvider, what+" Tokens are refused.", cure), c.known
}

var _ http.RoundTripper = (*clockReader)(nil)

// isCognito reports whether the provider is a user pool.
func (d *doctor) isCognito() bool { return d.Service.Provider.Kind == config.KindCognito }
