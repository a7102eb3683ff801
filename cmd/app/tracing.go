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
	"go.opentelemetry.io/contrib/propagators/autoprop"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"google.golang.org/grpc/status"

	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/tracing"
)

// exportFaultsEvery bounds how often they are logged: while a collector is down
// there is one every few seconds.
const exportFaultsEvery = time.Minute

// newTracing sets tracing up, if the environment asks for it. The exporters and
// the SDK read their own variables there, which config.Load has checked; none
// uses the network yet.
func (a *App) newTracing(ctx context.Context) error {
	cfg := a.cfg.Tracing
	if len(cfg.Exporters) == 0 {
		return nil
	}
	// The SDK has no other place for what it has to say. Its logger would write to
	// standard error, and quote variables that hold keys.
	otel.SetErrorHandler(&exportFaults{log: a.log, now: a.now})
	otel.SetLogger(logr.Discard())
	// The environment comes last: it wins.
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
		// Spans wait in a queue of bounded size, and what does not fit in is dropped:
		// no request ever waits for an exporter.
		options = append(options, sdktrace.WithBatcher(exporter))
	}
	propagator, err := autoprop.TextMapPropagator(cfg.Propagators...)
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
		if cfg.Plain { // its own default is TLS, the specification's is not
			options = append(options, otlptracegrpc.WithInsecure())
		}
		return otlptracegrpc.New(ctx, options...)
	default: // it tells http/protobuf from http/json itself
		var options []otlptracehttp.Option
		if cfg.Plain {
			options = append(options, otlptracehttp.WithInsecure())
		}
		return otlptracehttp.New(ctx, options...)
	}
}

// flushSpans exports what there is, in the time that is left to ctx.
func (a *App) flushSpans(ctx context.Context) {
	if a.spans == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, a.shutdown.flush)
	defer cancel()
	if err := a.spans.Shutdown(ctx); err != nil {
		a.log.WarnContext(ctx, "the last spans may be lost", "error", exportFault(err))
	}
}

// exportFaults is where OpenTelemetry's SDK tells its errors: failed exports, and
// what a client has said of a trace and nobody can read.
type exportFaults struct {
	log   *slog.Logger
	now   func() time.Time
	count atomic.Int64
	told  atomic.Int64 // when it was told last, in Unix nanoseconds
}

// Handle implements [otel.ErrorHandler].
func (f *exportFaults) Handle(err error) {
	count, told, now := f.count.Add(1), f.told.Load(), f.now().UnixNano()
	if now-told >= int64(exportFaultsEvery) && f.told.CompareAndSwap(told, now) {
		f.log.WarnContext(context.Background(), "tracing met an error", "error", exportFault(err), "so_far", count)
	}
}

// refused finds the status of an answer, which the exporter puts before what the
// collector says.
var refused = regexp.MustCompile(`failed to send to \S+: (\d{3})\b`)

// exportFault is what may be told of an error of the SDK's: nothing that came
// from the network. A collector that refuses an export can quote it, with the key
// in its header.
func exportFault(err error) string {
	if certificate, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificate.Error()
	}
	if network, ok := errors.AsType[*net.OpError](err); ok {
		return network.Error()
	}
	if answer := refused.FindStringSubmatch(err.Error()); answer != nil {
		return "the collector answered with HTTP status " + answer[1]
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "the collector did not take them in time"
	}
	if answer, ok := status.FromError(err); ok {
		return "the collector answered with gRPC status " + answer.Code().String()
	}
	return "an error of type " + semconv.ErrorType(err).Value.AsString()
}

// traceAWS makes spans of the AWS SDK's calls, named by service and operation.
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
