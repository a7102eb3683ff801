package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cognito-token-handler/config"
)

func TestTracing(t *testing.T) {
	w3c := []string{"tracecontext"}
	otlp := config.Tracing{Exporters: []string{"otlp"}, Plain: true, Propagators: w3c}
	for name, c := range map[string]struct {
		environ []string
		want    config.Tracing
	}{
		"nothing":               {nil, config.Tracing{}},
		"others":                {[]string{"OTEL_SERVICE_NAME=x", "OTEL_TRACES_SAMPLER=unknown", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=x"}, config.Tracing{}},
		"empty":                 {[]string{"OTEL_TRACES_EXPORTER=", "OTEL_EXPORTER_OTLP_ENDPOINT= "}, config.Tracing{}},
		"none":                  {[]string{"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", "OTEL_TRACES_SAMPLER=unknown"}, config.Tracing{}},
		"disabled":              {[]string{"OTEL_SDK_DISABLED=True", "OTEL_TRACES_EXPORTER=unknown"}, config.Tracing{}},
		"not disabled":          {[]string{"OTEL_SDK_DISABLED=false", "OTEL_TRACES_EXPORTER=otlp"}, otlp},
		"exporter":              {[]string{"OTEL_TRACES_EXPORTER= otlp "}, otlp},
		"the first counts":      {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_TRACES_EXPORTER=none"}, otlp},
		"even if it is empty":   {[]string{"OTEL_TRACES_EXPORTER=", "OTEL_TRACES_EXPORTER=otlp"}, config.Tracing{}},
		"endpoint":              {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318"}, otlp},
		"endpoint of traces":    {[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c/v1/traces"}, otlp},
		"traces before all":     {[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c", "OTEL_EXPORTER_OTLP_ENDPOINT=https://c"}, otlp},
		"https":                 {[]string{"OTEL_EXPORTER_OTLP_ENDPOINT=https://c"}, config.Tracing{Exporters: []string{"otlp"}, Propagators: w3c}},
		"TLS on this machine":   {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_INSECURE=false"}, config.Tracing{Exporters: []string{"otlp"}, Propagators: w3c}},
		"console, too":          {[]string{"OTEL_TRACES_EXPORTER=console,otlp,console"}, config.Tracing{Exporters: []string{"console", "otlp"}, Plain: true, Propagators: w3c}},
		"grpc":                  {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, config.Tracing{Exporters: []string{"otlp"}, Protocol: "grpc", Plain: true, Propagators: w3c}},
		"propagators":           {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_PROPAGATORS=baggage, xray"}, config.Tracing{Exporters: []string{"otlp"}, Plain: true, Propagators: []string{"baggage", "xray"}}},
		"no propagators at all": {[]string{"OTEL_TRACES_EXPORTER=otlp", "OTEL_PROPAGATORS=none"}, config.Tracing{Exporters: []string{"otlp"}, Plain: true, Propagators: []string{"none"}}},
		"the SDK reads the others": {[]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT= http://c:4318 ", "OTEL_EXPORTER_OTLP_INSECURE=true", "OTEL_TRACES_SAMPLER=sometimes", "OTEL_SOMETHING_ELSE=x",
		}, otlp},
	} {
		t.Run(name, func(t *testing.T) {
			got := mustLoad(t, smallest, c.environ...).Tracing
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Values that would send spans nowhere, or to the wrong place, stop the start and
// are named. Keys are not repeated.
func TestTracingFaults(t *testing.T) {
	const propagators = " names a format that is not supported; write tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace or none"
	for _, c := range []struct{ variable, val, want string }{
		{"OTEL_SDK_DISABLED", "yes", `"yes" is neither true nor false; write true or false`},
		{"OTEL_TRACES_EXPORTER", "zipkin", `"zipkin" is not one of the possible values; write otlp, console or none`},
		{"OTEL_TRACES_EXPORTER", "otlp,none", "has none together with others; write none alone, or remove it"},
		{"OTEL_PROPAGATORS", "tracecontext,w3c", `"tracecontext,w3c"` + propagators},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", `"collector:4317" does not start with https:// or http://; write it as https://host.example.com`},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:hunter2@c", "contains a user name or password; remove everything between :// and the host, including the @"},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/?key=hunter2", "has a query; remove the ? and everything after it; keys belong in OTEL_EXPORTER_OTLP_HEADERS"},
		{"OTEL_EXPORTER_OTLP_INSECURE", "1", `"1" is neither true nor false; write true or false`},
		{"OTEL_EXPORTER_OTLP_PROTOCOL", "thrift", `"thrift" is not one of the possible values; write http/protobuf, http/json or grpc`},
		{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http", `"http" is not one of the possible values; write http/protobuf, http/json or grpc`},
	} {
		// If a variable is set twice, the first value counts.
		wantTracingFault(t, c.variable+": "+c.want, c.variable+"="+c.val, "OTEL_TRACES_EXPORTER=otlp")
	}
}

// An INSECURE that contradicts the endpoint would send keys in the clear.
func TestTracingContradiction(t *testing.T) {
	const want = ": contradicts the scheme of the endpoint; remove it"
	wantTracingFault(t, "OTEL_EXPORTER_OTLP_INSECURE"+want, "OTEL_EXPORTER_OTLP_ENDPOINT=https://c", "OTEL_EXPORTER_OTLP_INSECURE=true")
	wantTracingFault(t, "OTEL_EXPORTER_OTLP_TRACES_INSECURE"+want, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c", "OTEL_EXPORTER_OTLP_TRACES_INSECURE=false")
}

func wantTracingFault(t *testing.T, want string, environ ...string) {
	t.Helper()
	_, err := config.Load([]byte(smallest), "tokenhandler.yaml", environ, config.Machine{ReadFile: readFile})
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Error("a secret is repeated")
	}
}
