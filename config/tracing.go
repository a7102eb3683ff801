package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The exporters of spans, see [Tracing.Exporters].
const (
	ExporterOTLP    = "otlp"
	ExporterConsole = "console"
)

// ProtocolGRPC is a protocol of OTLP, see [Tracing.Protocol].
const ProtocolGRPC = "grpc"

// The variables that more than one function looks at.
const (
	otelDisabled    = "OTEL_SDK_DISABLED"
	otelExporter    = "OTEL_TRACES_EXPORTER"
	otelPropagators = "OTEL_PROPAGATORS"
	otelSampler     = "OTEL_TRACES_SAMPLER"
	otelQueue       = "OTEL_BSP_MAX_QUEUE_SIZE"
	otelBatch       = "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"
)

// otelEnvironment is what the variables of OpenTelemetry say, and what is wrong
// with them. OpenTelemetry's SDK and exporters read most of them by themselves,
// and go on without those that they cannot read: so all are checked here. What is
// accepted must be understood by them in the same way.
type otelEnvironment struct {
	values   map[string]string
	readFile func(string) ([]byte, error)
	report   func(name string, bad *wrong)
}

// tracing reads the variables of OpenTelemetry, if they ask for traces.
func (l *loader) tracing(environ []string) Tracing {
	e := otelEnvironment{values: map[string]string{}, readFile: l.readFile, report: func(name string, bad *wrong) {
		if bad != nil {
			l.faults = append(l.faults, Fault{Where: name, Problem: bad.problem, Fix: bad.fix})
		}
	}}
	for _, entry := range environ {
		name, val, _ := strings.Cut(entry, "=")
		if _, again := e.values[name]; strings.HasPrefix(name, "OTEL_") && !again {
			e.values[name] = val
		}
	}
	exporters := e.exporters()
	if len(exporters) == 0 {
		return Tracing{}
	}
	e.checkSDK()
	e.checkOTLP()
	return Tracing{Exporters: exporters, Protocol: e.otlp("PROTOCOL"), Plain: e.isPlain(), Propagators: e.propagators()}
}

// otlpPrefixes begin the names of the exporter's variables: one for traces alone
// comes before the one for everything.
func otlpPrefixes() [2]string {
	return [...]string{"OTEL_EXPORTER_OTLP_TRACES_", "OTEL_EXPORTER_OTLP_"}
}

// exporters are where spans go: to a collector already if its address is given.
func (e otelEnvironment) exporters() []string {
	if disabled := e.values[otelDisabled]; disabled != "" {
		off, bad := parseBool(strings.ToLower(disabled))
		e.report(otelDisabled, bad)
		if off {
			return nil
		}
	}
	names := e.list(otelExporter)
	if len(names) == 0 && e.otlp("ENDPOINT") != "" {
		return []string{ExporterOTLP}
	}
	if slices.Equal(names, []string{"none"}) {
		return nil
	}
	for _, name := range names {
		if name == "none" {
			e.report(otelExporter, &wrong{"holds none beside others", "write none alone, or remove it"})
			continue
		}
		_, bad := oneOf(ExporterOTLP, ExporterConsole, "none")(name)
		e.report(otelExporter, bad)
	}
	return names
}

// propagators are tracecontext alone by default, not baggage too: what clients
// say in it would reach the upstreams.
func (e otelEnvironment) propagators() []string {
	names := e.list(otelPropagators)
	if len(names) == 0 {
		return []string{"tracecontext"}
	}
	for _, name := range names {
		_, bad := oneOf("tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray", "ottrace", "none")(name)
		if bad == nil && name == "none" && len(names) > 1 {
			bad = &wrong{"holds none beside others", "write none alone, or remove it"}
		}
		e.report(otelPropagators, bad)
	}
	return names
}

// checkSDK checks what the SDK reads: resource, sampler, batches and limits.
func (e otelEnvironment) checkSDK() {
	const most, day = 1 << 20, 24 * 60 * 60 * 1000 // in ms
	e.check("OTEL_SERVICE_NAME", judge(parseText))
	e.check("OTEL_RESOURCE_ATTRIBUTES", func(s string) *wrong {
		return pairs(s, func(name, val string) bool { return name != "" && utf8.ValidString(name+val) })
	})
	e.checkSampler()
	e.check("OTEL_BSP_SCHEDULE_DELAY", judge(parseCount(1, day)))
	e.check("OTEL_BSP_EXPORT_TIMEOUT", judge(parseCount(1, day)))
	e.check(otelQueue, judge(parseCount(1, most)))
	e.check(otelBatch, func(s string) *wrong {
		batch, bad := parseCount(1, most)(s)
		queue, err := strconv.Atoi(e.values[otelQueue])
		if err != nil {
			queue = 2048 // the specification's
		}
		if bad == nil && batch > queue {
			bad = &wrong{fmt.Sprintf("is more than the queue holds (%s, %d)", otelQueue, queue), "write at most as much"}
		}
		return bad
	})
	for _, name := range []string{
		"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
		"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_SPAN_EVENT_COUNT_LIMIT", "OTEL_SPAN_LINK_COUNT_LIMIT",
		"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
	} {
		e.check(name, judge(parseCount(0, most)))
	}
}

func (e otelEnvironment) checkSampler() {
	sampler := strings.ToLower(strings.TrimSpace(e.values[otelSampler]))
	if sampler == "" {
		return
	}
	_, bad := oneOf("always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio")(sampler)
	e.report(otelSampler, bad)
	if strings.HasSuffix(sampler, "traceidratio") {
		e.check(otelSampler+"_ARG", func(s string) *wrong {
			if ratio, err := strconv.ParseFloat(strings.TrimSpace(s), 64); err == nil && ratio >= 0 && ratio <= 1 {
				return nil
			}
			return &wrong{quote(s) + " is not a ratio", "write a number from 0 to 1, such as 0.1"}
		})
	}
}

// checkOTLP checks what the exporter reads.
func (e otelEnvironment) checkOTLP() {
	for _, prefix := range otlpPrefixes() {
		e.check(prefix+"ENDPOINT", checkCollector)
		e.check(prefix+"INSECURE", func(s string) *wrong {
			insecure, bad := parseBool(strings.ToLower(strings.TrimSpace(s)))
			if bad == nil && insecure != e.isPlain() {
				bad = &wrong{"contradicts the scheme of the endpoint", "remove it"}
			}
			return bad
		})
		e.check(prefix+"PROTOCOL", trimmed(oneOf("http/protobuf", "http/json", ProtocolGRPC)))
		e.check(prefix+"COMPRESSION", trimmed(oneOf("gzip", "none")))
		e.check(prefix+"TIMEOUT", trimmed(parseCount(1, 60*60*1000)))
		e.check(prefix+"HEADERS", func(s string) *wrong {
			return pairs(s, func(name, val string) bool {
				return isToken(name) && !strings.ContainsFunc(val, func(r rune) bool { return r < ' ' || r > '~' })
			})
		})
		e.check(prefix+"CERTIFICATE", e.certificate)
		e.checkClientCertificate(prefix)
	}
}

// certificate takes the name of a file of certificates.
func (e otelEnvironment) certificate(name string) *wrong {
	if e.isPlain() {
		return &wrong{"is set, but the endpoint is not https://", "remove it, or write the endpoint with https://"}
	}
	content, bad := readSecret(strings.TrimSpace(name), e.readFile)
	if bad == nil && !x509.NewCertPool().AppendCertsFromPEM(content) {
		bad = &wrong{"names a file that holds no PEM certificate", "check the path"}
	}
	return bad
}

func (e otelEnvironment) checkClientCertificate(prefix string) {
	name := prefix + "CLIENT_CERTIFICATE"
	certificate, key := strings.TrimSpace(e.values[name]), strings.TrimSpace(e.values[prefix+"CLIENT_KEY"])
	switch {
	case certificate == "" && key == "":
		return
	case certificate == "" || key == "":
		e.report(name, &wrong{"and " + prefix + "CLIENT_KEY are not both set", "set both or neither"})
		return
	}
	bad := e.certificate(certificate)
	var content, secretKey []byte
	if bad == nil {
		content, bad = readSecret(certificate, e.readFile)
	}
	if bad == nil {
		name = prefix + "CLIENT_KEY"
		secretKey, bad = readSecret(key, e.readFile)
	}
	if bad == nil {
		if _, err := tls.X509KeyPair(content, secretKey); err != nil {
			bad = &wrong{"names a file that holds no key of the client certificate", "check the path"}
		}
	}
	e.report(name, bad)
}

// check reports what is wrong with a variable. An empty one is as if it were not
// there.
func (e otelEnvironment) check(name string, against func(string) *wrong) {
	if val := e.values[name]; val != "" {
		e.report(name, against(val))
	}
}

// otlp is the value of one of the exporter's variables.
func (e otelEnvironment) otlp(name string) string {
	for _, prefix := range otlpPrefixes() {
		if val := strings.TrimSpace(e.values[prefix+name]); val != "" {
			return val
		}
	}
	return ""
}

// list is the value of a variable that holds several.
func (e otelEnvironment) list(name string) []string {
	var list []string
	for item := range strings.SplitSeq(e.values[name], ",") {
		if item = strings.TrimSpace(item); item != "" && !slices.Contains(list, item) {
			list = append(list, item)
		}
	}
	return list
}

func judge[T any](parse parser[T]) func(string) *wrong {
	return func(s string) *wrong {
		_, bad := parse(s)
		return bad
	}
}

// trimmed is judge for what is read without the spaces around it.
func trimmed[T any](parse parser[T]) func(string) *wrong {
	return func(s string) *wrong { return judge(parse)(strings.TrimSpace(s)) }
}

// checkCollector takes an URL. Keys are not part of it: they would be dropped.
func checkCollector(s string) *wrong {
	u, bad := parseURL(strings.TrimSpace(s))
	if bad == nil && (u.RawQuery != "" || u.ForceQuery) {
		bad = &wrong{"has a query", "remove the ? and what follows it; keys belong into OTEL_EXPORTER_OTLP_HEADERS"}
	}
	return bad
}

// isPlain reports whether the collector is spoken to without TLS. By default it is
// on this machine, and is.
func (e otelEnvironment) isPlain() bool {
	endpoint := e.otlp("ENDPOINT")
	if endpoint == "" {
		return !strings.EqualFold(e.otlp("INSECURE"), "false")
	}
	u, err := url.Parse(endpoint)
	return err == nil && u.Scheme == "http"
}

// pairs checks a list such as name=value,name=value with percent-encoded values.
// Nothing of it is quoted: keys are in it.
func pairs(s string, good func(name, val string) bool) *wrong {
	number := 0
	for pair := range strings.SplitSeq(s, ",") {
		number++
		name, val, found := strings.Cut(pair, "=")
		decoded, err := url.PathUnescape(strings.TrimSpace(val))
		if !found || err != nil || !good(strings.TrimSpace(name), decoded) {
			return &wrong{fmt.Sprintf("has a pair that cannot be read (number %d)", number), "write name=value,name=value with %25, %2C and the like in values"}
		}
	}
	return nil
}

// isToken follows RFC 9110, section 5.6.2.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return r > unicode.MaxASCII || r <= ' ' || strings.ContainsRune("\"(),/:;<=>?@[\\]{}\x7f", r)
	})
}
