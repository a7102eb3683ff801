package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"sort"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
)

var descParts = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "(.*?)", (?:unit: "[^"]*", )?constLabels: \{[^}]*\}, variableLabels: \{([^}]*)\}\}`)

// MetricsTable lists what a service registers of its own, as Markdown.
func MetricsTable(a *App) string {
	descs := make(chan *prometheus.Desc, 1000)
	a.registry.Describe(descs)
	close(descs)
	var rows []string
	for d := range descs {
		m := descParts.FindStringSubmatch(d.String())
		if m == nil || !strings.HasPrefix(m[1], "tokenhandler_") {
			continue
		}
		labels := m[3]
		if labels != "" {
			labels = "`" + strings.ReplaceAll(labels, ",", "`, `") + "`"
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s |\n", m[1], labels, strings.ReplaceAll(m[2], `\"`, `"`)))
	}
	sort.Strings(rows)
	return "| metric | labels | meaning |\n|---|---|---|\n" + strings.Join(rows, "")
}

// NewAt is [New] with another clock.
var NewAt = newAt

// Public is what the public listener serves.
func Public(a *App) http.Handler { return a.public }

// AWSCredentials looks up the storage's credentials.
var AWSCredentials = awsCredentials

// ReloadEvery sets how often a looks at files that may change.
func ReloadEvery(a *App, d time.Duration) { a.reloadEvery = d }

// Admin is what the admin listener serves.
func Admin(a *App) http.Handler { return a.admin }

// The times of a shutdown.
const (
	ShutdownTimeout = shutdownTimeout
	DrainTimeout    = drainTimeout
	ProviderTimeout = providerTimeout
)

// ShutdownTimes sets how long a shutdown of a may take in total, and how long its
// requests may take.
func ShutdownTimes(a *App, total, drain time.Duration) {
	a.shutdown = shutdownTimes{total, drain, total}
}

// FirstTriesTime is how long the first requests wait for the provider.
const FirstTriesTime = firstTriesTime

// FirstTries sets how long the first requests to a wait for the provider.
func FirstTries(a *App, d time.Duration) { a.firstTries = d }

// FlushTimeout sets how long the last spans of a may take.
func FlushTimeout(a *App, d time.Duration) { a.shutdown.flush = d }

// DescribeExportError describes an error of OpenTelemetry's SDK for the log.
var DescribeExportError = describeExportError

// ExportErrors handles the errors of OpenTelemetry's SDK.
func ExportErrors(log *slog.Logger) otel.ErrorHandler { return newExportErrors(log) }

// SDKLog receives what OpenTelemetry's SDK logs.
func SDKLog(log *slog.Logger) logr.Logger { return logr.New(&sdkLog{log: log}) }

// Finished returns a listener that ends when no more connections are queued.
func Finished(l net.Listener) net.Listener {
	g := &drainingListener{Listener: l}
	g.finish()
	return g
}

// Pause replaces the wait for shutdown.delay.
func Pause(a *App, pause func(ctx context.Context, d time.Duration)) { a.pause = pause }

// TryProvider tries to connect to the provider once.
func TryProvider(ctx context.Context, a *App) { _ = a.provider.Connect(ctx) }

// AwaitUnused returns the two halves of what a shutdown knows of connections without a
// request: what the server tells, and the wait for the requests.
func AwaitUnused() (watch func(net.Conn, http.ConnState), await func(context.Context)) {
	var unused unusedConns
	return unused.watch, unused.await
}

// CredentialsLook returns a function that looks once whether there are credentials.
func CredentialsLook(credentials aws.CredentialsProvider, log *slog.Logger, reg prometheus.Registerer) func(context.Context) {
	return newCredentialsWatch(credentials, log, reg).look
}

// NeedsIDToken reports whether sessions keep the ID token.
var NeedsIDToken = needsIDToken

// Abilities are what a service can do with its kind of provider.
type Abilities struct {
	LogoutTokens, LoginErrors, Passkeys, SignOut bool
	Groups                                       string
}

// AbilitiesOf returns those of a.
func AbilitiesOf(a *App) Abilities {
	return Abilities{a.verifyLogout() != nil, a.loginError() != nil, a.passkeyURL() != nil, a.signOut() != nil, groupsClaim(a.cfg.Provider.Kind)}
}
