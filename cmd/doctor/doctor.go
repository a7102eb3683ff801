package doctor

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/cognito"
)

const (
	// totalTime bounds the examination, and callTime one call to another server.
	totalTime = 40 * time.Second
	callTime  = 5 * time.Second
	// lateness is how much longer than totalTime is waited for a check that was told to end:
	// one that has written deletes it first.
	lateness = 5 * time.Second
)

// Config is what [Examine] needs.
type Config struct {
	// Service is the configuration of the service. Required.
	Service config.Config
	// Now is the clock. Required.
	Now func() time.Time
	// ReadFile reads the file of session.keys_file. Required.
	ReadFile func(name string) ([]byte, error)
	// Write allows to put an object into the bucket and to delete it.
	Write bool
	// Total bounds the examination, and Call each call. The defaults are 40 and 5 seconds.
	Total, Call time.Duration
}

// doctor is one examination.
type doctor struct {
	Config

	// web sends the requests for pages, as a browser would, and those to the provider.
	web http.RoundTripper
}

// check examines one thing. It must end soon after ctx.
type check struct {
	area string
	run  func(ctx context.Context) []Finding
}

// Examine examines everything that the configuration names, side by side. The findings
// have a fixed order, whichever comes first.
func Examine(ctx context.Context, cfg Config) []Finding {
	if cfg.Total == 0 {
		cfg.Total = totalTime
	}
	if cfg.Call == 0 {
		cfg.Call = callTime
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Total)
	defer cancel()
	d := &doctor{Config: cfg, web: cognito.NewTransport()}
	found := d.warnings()
	if err := app.Check(ctx, cfg.Service, slog.New(slog.DiscardHandler)); err != nil {
		return append(found, fault(AreaConfig, "The service does not start: "+err.Error()+".", "See `tokenhandler check`."))
	}
	return append(found, runAll(ctx, d.checks())...)
}

// warnings returns what `tokenhandler check` warns of.
func (d *doctor) warnings() []Finding {
	found := []Finding{good(AreaConfig, "The configuration has no fault.")}
	for _, w := range d.Service.Warnings {
		found = append(found, ofFault(Warning, w.Fault))
	}
	return found
}

// OfFaults returns the findings for a configuration that cannot be used.
func OfFaults(faults config.Faults) []Finding {
	var found []Finding
	for _, f := range faults {
		found = append(found, ofFault(Fault, f))
	}
	return found
}

// OfError returns the finding for a configuration that cannot be read.
func OfError(err error) []Finding {
	return []Finding{fault(AreaConfig, err.Error(), "Name the file with --config, and let this user read it.")}
}

func ofFault(level Level, f config.Fault) Finding {
	cure := f.Fix
	f.Fix = ""
	return Finding{Area: AreaConfig, Level: level, What: f.String(), Cure: cure}
}

// checks returns everything that is examined side by side.
func (d *doctor) checks() []check {
	checks := []check{
		{AreaHost, d.host},
		{AreaProvider, d.provider},
	}
	routes := d.Service.API.Routes
	for i := range routes {
		checks = append(checks, check{AreaUpstream, func(ctx context.Context) []Finding { return d.upstream(ctx, &routes[i]) }})
	}
	if !d.Service.Session.Store.IsZero() {
		checks = append(checks, check{AreaStore, d.store})
	}
	return append(checks, check{AreaAWS, d.aws})
}

// runAll runs the checks side by side, and returns their findings in the order of the
// checks. A check that does not end in time is a fault.
func runAll(ctx context.Context, checks []check) (found []Finding) {
	results := make([]chan []Finding, len(checks))
	for i, c := range checks {
		results[i] = make(chan []Finding, 1)
		go func() { results[i] <- c.run(ctx) }()
	}
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lateness, cancel) })()
	for i, c := range checks {
		found = append(found, resultOf(late, c, results[i])...)
	}
	return found
}

// resultOf waits for the findings of a check until ctx ends. Those that are there by then
// count.
func resultOf(ctx context.Context, c check, result <-chan []Finding) []Finding {
	select {
	case findings := <-result:
		return findings
	case <-ctx.Done():
	}
	select {
	case findings := <-result:
		return findings
	default:
		return []Finding{fault(c.area, "The check did not end in time.", "Run it again; if it hangs again, the server or the network between does.")}
	}
}
