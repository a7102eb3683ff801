package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"regexp"
	"sync/atomic"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go/middleware"
	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"golang.org/x/time/rate"
	"google.golang.org/grpc/status"

	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/tracing"
)

// exportErrorsEvery is the shortest time between two log records about failed
// exports. While a collector is down, an export fails every few seconds.
const exportErrorsEvery = time.Minute

// newTracing sets up tracing if the configuration names an exporter. The SDK and
// its exporters read further OTEL_ variables of the environment. They do not use
// the network before the first export.
func (a *App) newTracing(ctx context.Context) error {
	cfg := a.cfg.Tracing
	if len(cfg.Exporters) == 0 {
		return nil
	}
	// The SDK reports errors through process-wide handlers only. Its own logger
	// would write to standard error, and quote variables that hold keys.
	otel.SetErrorHandler(newExportErrors(a.log))
	otel.SetLogger(logr.New(&sdkLog{log: a.log}))
	// The last option wins: the environment.
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(),
		resource.WithAttributes(semconv.ServiceName("tokenhandler")), resource.WithFromEnv())
	if err != nil {
		return fmt.Errorf("describing the process to OpenTelemetry: %w", err)
	}
	options := []sdktrace.TracerProviderOption{sdktrace.WithResource(about)}
	for _, name := range cfg.Exporters {
		exporter, err := newExporter(ctx, name, cfg)
		if err != nil {
			return fmt.Errorf("OTEL_TRACES_EXPORTER: setting up %s: %w", name, err)
		}
		// Spans wait in a bounded queue. When it is full they are dropped, so that no
		// request waits for an exporter.
		options = append(options, sdktrace.WithBatcher(exporter))
	}
	propagator, err := tracing.Propagator(cfg.Propagators...)
	if err != nil {
		return fmt.Errorf("OTEL_PROPAGATORS: %w", err)
	}
	a.spans = sdktrace.NewTracerProvider(options...)
	a.tracer = tracing.New(tracing.Config{Provider: a.spans, Propagator: propagator, PublicURL: a.cfg.PublicURL})
	a.log.InfoContext(ctx, "tracing is on", "exporters", cfg.Exporters, "propagators", cfg.Propagators)
	return nil
}

func newExporter(ctx context.Context, name string, cfg config.Tracing) (sdktrace.SpanExporter, error) {
	switch {
	case name == config.ExporterConsole:
		return stdouttrace.New(stdouttrace.WithWriter(os.Stdout))
	case cfg.Protocol == config.ProtocolGRPC:
		var options []otlptracegrpc.Option
		if cfg.Plain { // without an endpoint, the exporter's own default is TLS
			options = append(options, otlptracegrpc.WithInsecure())
		}
		return otlptracegrpc.New(ctx, options...)
	default: // the exporter reads whether it is http/protobuf or http/json
		var options []otlptracehttp.Option
		if cfg.Plain {
			options = append(options, otlptracehttp.WithInsecure())
		}
		return otlptracehttp.New(ctx, options...)
	}
}

// flushSpans exports the spans that still wait, within the flush time-out and ctx.
func (a *App) flushSpans(ctx context.Context) {
	if a.spans == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, a.shutdown.flush)
	defer cancel()
	if err := a.spans.Shutdown(ctx); err != nil {
		a.log.WarnContext(ctx, "the last spans may be lost", "error", describeExportError(err))
	}
}

// sdkLog is the sink of the SDK's own log. It passes on the fixed text of errors,
// such as "parse headers", and drops everything else: the values quote variables
// of the environment that hold keys.
type sdkLog struct{ log *slog.Logger }

// Init implements [logr.LogSink].
func (*sdkLog) Init(logr.RuntimeInfo) {}

// Enabled implements [logr.LogSink].
func (*sdkLog) Enabled(int) bool { return false }

// Info implements [logr.LogSink].
func (*sdkLog) Info(int, string, ...any) {}

// Error implements [logr.LogSink].
func (l *sdkLog) Error(_ error, text string, _ ...any) {
	l.log.WarnContext(context.Background(), "opentelemetry ignored a setting of its environment variables", "step", text)
}

// WithValues implements [logr.LogSink].
func (l *sdkLog) WithValues(...any) logr.LogSink { return l }

// WithName implements [logr.LogSink].
func (l *sdkLog) WithName(string) logr.LogSink { return l }

// exportErrors logs the errors of the SDK: failed exports, and headers of clients
// that a propagator cannot read.
type exportErrors struct {
	log    *slog.Logger
	count  atomic.Int64
	seldom rate.Sometimes
}

func newExportErrors(log *slog.Logger) *exportErrors {
	return &exportErrors{log: log, seldom: rate.Sometimes{Interval: exportErrorsEvery}}
}

// Handle implements [otel.ErrorHandler].
func (e *exportErrors) Handle(err error) {
	count := e.count.Add(1)
	e.seldom.Do(func() {
		e.log.WarnContext(context.Background(), "tracing met an error", "error", describeExportError(err), "so_far", count)
	})
}

// collectorStatus finds the HTTP status in an error of the OTLP exporter. What
// follows the status comes from the collector.
var collectorStatus = regexp.MustCompile(`failed to send to \S+: (\d{3})\b`)

// describeExportError describes an error of the SDK without anything that came
// from the network: a collector that refuses an export can quote its header, and
// with it the operator's key.
func describeExportError(err error) string {
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificate.Error()
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network.Error()
	}
	if match := collectorStatus.FindStringSubmatch(err.Error()); match != nil {
		return "the collector answered with HTTP status " + match[1]
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "the collector did not take them in time"
	}
	if answer, ok := status.FromError(err); ok {
		return "the collector answered with gRPC status " + answer.Code().String()
	}
	return "an error of type " + semconv.ErrorType(err).Value.AsString()
}

// traceAWS returns a middleware that makes a span of each call of the AWS SDK,
// named by service and operation.
func traceAWS(tracer *tracing.Tracer) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		span := middleware.InitializeMiddlewareFunc("Tracing", func(
			ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler,
		) (out middleware.InitializeOutput, metadata middleware.Metadata, err error) {
			name := cmp.Or(awsmiddleware.GetServiceID(ctx), "AWS") + " " + awsmiddleware.GetOperationName(ctx)
			err = tracer.Do(ctx, name, func(ctx context.Context) error {
				out, metadata, err = next.HandleInitialize(ctx, in)
				return err
			})
			return out, metadata, err
		})
		return stack.Initialize.Add(span, middleware.After)
	}
}
