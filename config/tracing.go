package config

import (
	"net/url"
	"slices"
	"strings"

	"cognito-token-handler/tokenhandler/tracing"
)

// The values of [Tracing.Exporters].
const (
	ExporterOTLP    = "otlp"
	ExporterConsole = "console"
)

// ProtocolGRPC is a value of [Tracing.Protocol].
const ProtocolGRPC = "grpc"

// otelEnvironment holds the environment variables of OpenTelemetry.
type otelEnvironment struct {
	values map[string]string // name → value
	report func(name string, bad *invalid)
}

// tracing reads the environment variables of OpenTelemetry that say whether
// spans are exported, where to, in which protocol, and which headers carry a
// trace. The SDK reads all other variables itself; it logs those that it cannot
// read and uses their defaults.
func (l *loader) tracing(environ []string) Tracing {
	e := otelEnvironment{values: map[string]string{}, report: func(name string, bad *invalid) {
		if bad != nil {
			l.faults = append(l.faults, Fault{Where: name, Problem: bad.problem, Fix: bad.fix})
		}
	}}
	for _, entry := range environ {
		name, val, _ := strings.Cut(entry, "=")
		if _, again := e.values[name]; strings.HasPrefix(name, "OTEL_") && !again {
			e.values[name] = strings.TrimSpace(val)
		}
	}
	exporters := e.exporters()
	if len(exporters) == 0 {
		return Tracing{}
	}
	e.checkOTLP()
	l.riskCollector(e)
	return Tracing{Exporters: exporters, Protocol: e.otlp("PROTOCOL"), Plain: e.isPlain(), Propagators: e.propagators()}
}

// exporters returns the exporters to use; none if tracing is off. An endpoint
// alone selects the OTLP exporter.
func (e otelEnvironment) exporters() []string {
	const disabled, exporter = "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER"
	if e.values[disabled] != "" {
		off, bad := parseBool(strings.ToLower(e.values[disabled]))
		e.report(disabled, bad)
		if off {
			return nil
		}
	}
	names := e.list(exporter)
	if len(names) == 0 && e.otlp("ENDPOINT") != "" {
		return []string{ExporterOTLP}
	}
	if slices.Equal(names, []string{"none"}) {
		return nil
	}
	for _, name := range names {
		if name == "none" {
			e.report(exporter, &invalid{"has none together with others", "write none alone, or remove it"})
			continue
		}
		_, bad := oneOf(ExporterOTLP, ExporterConsole, "none")(name)
		e.report(exporter, bad)
	}
	return names
}

// propagators returns the formats of the headers that carry a trace. The default
// is tracecontext without baggage: baggage would pass what clients write in it
// to the upstreams.
func (e otelEnvironment) propagators() []string {
	const variable = "OTEL_PROPAGATORS"
	names := e.list(variable)
	if len(names) == 0 {
		return []string{"tracecontext"}
	}
	if _, err := tracing.Propagator(names...); err != nil {
		e.report(variable, &invalid{
			quote(e.values[variable]) + " names a format that is not supported",
			"write tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace or none",
		})
	}
	return names
}

// otlpPrefixes returns what the names of the OTLP exporter's variables start
// with. A variable for traces alone wins over the one for all signals.
func otlpPrefixes() [2]string {
	return [...]string{"OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"}
}

// checkOTLP checks endpoint and protocol. The exporter lets INSECURE win over
// the scheme of the endpoint, and would send its keys in the clear to an
// endpoint that was written with https://: that is refused.
func (e otelEnvironment) checkOTLP() {
	for _, prefix := range otlpPrefixes() {
		if endpoint := e.values[prefix+"ENDPOINT"]; endpoint != "" {
			e.report(prefix+"ENDPOINT", checkCollector(endpoint))
		}
		if protocol := e.values[prefix+"PROTOCOL"]; protocol != "" {
			_, bad := oneOf("http/protobuf", "http/json", ProtocolGRPC)(protocol)
			e.report(prefix+"PROTOCOL", bad)
		}
		if insecure := e.values[prefix+"INSECURE"]; insecure != "" {
			plain, bad := parseBool(strings.ToLower(insecure))
			if bad == nil && plain != e.isPlain() {
				bad = &invalid{"contradicts the scheme of the endpoint", "remove it"}
			}
			e.report(prefix+"INSECURE", bad)
		}
	}
}

// checkCollector checks an endpoint. The exporter would drop a query without a
// word, and with it a key.
func checkCollector(s string) *invalid {
	u, bad := parseURL(s)
	if bad == nil && (u.RawQuery != "" || u.ForceQuery) {
		bad = &invalid{"has a query", "remove the ? and everything after it; keys belong in OTEL_EXPORTER_OTLP_HEADERS"}
	}
	return bad
}

// isPlain reports whether the exporter connects without TLS. It does so by
// default, because the default endpoint is on this machine.
func (e otelEnvironment) isPlain() bool {
	endpoint := e.otlp("ENDPOINT")
	if endpoint == "" {
		return !strings.EqualFold(e.otlp("INSECURE"), "false")
	}
	u, err := url.Parse(endpoint)
	return err == nil && u.Scheme == "http"
}

// otlp returns the value of one of the OTLP exporter's variables, or "".
func (e otelEnvironment) otlp(name string) string {
	for _, prefix := range otlpPrefixes() {
		if val := e.values[prefix+name]; val != "" {
			return val
		}
	}
	return ""
}

// list returns the different items of a comma-separated variable.
func (e otelEnvironment) list(name string) []string {
	var list []string
	for item := range strings.SplitSeq(e.values[name], ",") {
		if item = strings.TrimSpace(item); item != "" && !slices.Contains(list, item) {
			list = append(list, item)
		}
	}
	return list
}

// riskCollector warns of a key that is sent to a collector on another machine in the
// clear.
func (l *loader) riskCollector(e otelEnvironment) {
	u, err := url.Parse(e.otlp("ENDPOINT"))
	if err != nil || u.Scheme != "http" || isLoopback(u.Hostname()) || e.otlp("HEADERS") == "" {
		return
	}
	l.warnings = append(l.warnings, Warning{Fault: Fault{
		Where: "OTEL_EXPORTER_OTLP_HEADERS", Problem: "are sent to a collector on another machine over plain http", Fix: "write https:// in the endpoint",
	}})
}
