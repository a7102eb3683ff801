package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
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
		"others":                {[]string{"OTEL_SERVICE_NAME=x", "OTEL_TRACES_SAMPLER=nonsense", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=x"}, config.Tracing{}},
		"empty":                 {[]string{"OTEL_TRACES_EXPORTER=", "OTEL_EXPORTER_OTLP_ENDPOINT= "}, config.Tracing{}},
		"none":                  {[]string{"OTEL_TRACES_EXPORTER=none", "OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", "OTEL_TRACES_SAMPLER=nonsense"}, config.Tracing{}},
		"disabled":              {[]string{"OTEL_SDK_DISABLED=True", "OTEL_TRACES_EXPORTER=nonsense"}, config.Tracing{}},
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
		"everything is good": {[]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:4318", "OTEL_RESOURCE_ATTRIBUTES=a=b, c=%C3%A9%2C", "OTEL_SERVICE_NAME=shop",
			"OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20x, x-key = y=z", "OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT= 1 ",
			"OTEL_TRACES_SAMPLER= ParentBased_TraceIDRatio", "OTEL_TRACES_SAMPLER_ARG=0.25", "OTEL_BSP_SCHEDULE_DELAY=1", "OTEL_BSP_EXPORT_TIMEOUT=1",
			"OTEL_BSP_MAX_QUEUE_SIZE=10", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=10", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT=0",
			"OTEL_EXPORTER_OTLP_INSECURE=true", "OTEL_SOMETHING_ELSE=x",
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

// What OpenTelemetry's SDK would pass by in silence is refused, and named. Keys
// are not repeated.
func TestTracingFaults(t *testing.T) {
	const count = " is not a possible number; write a whole number from "
	for name, c := range map[string]struct{ val, want string }{
		"OTEL_SDK_DISABLED":                     {"yes", `"yes" is neither true nor false; write true or false`},
		"OTEL_TRACES_EXPORTER":                  {"zipkin", `"zipkin" is not one of the possible values; write otlp, console or none`},
		"OTEL_PROPAGATORS":                      {"w3c", `"w3c" is not one of the possible values; write tracecontext, baggage, b3, b3multi, jaeger, xray, ottrace or none`},
		"OTEL_TRACES_SAMPLER":                   {"sometimes", `"sometimes" is not one of the possible values; write always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or parentbased_traceidratio`},
		"OTEL_SERVICE_NAME":                     {"a\x1bb", "holds control characters; write it as plain text on one line"},
		"OTEL_RESOURCE_ATTRIBUTES":              {"a=b,hunter2", "has a pair that cannot be read (number 2); write name=value,name=value with %25, %2C and the like in values"},
		"OTEL_EXPORTER_OTLP_HEADERS":            {"a=b,hunter2", "has a pair that cannot be read (number 2); write name=value,name=value with %25, %2C and the like in values"},
		"OTEL_EXPORTER_OTLP_TRACES_HEADERS":     {"a=hunter2%0A", "has a pair that cannot be read (number 1); write name=value,name=value with %25, %2C and the like in values"},
		"OTEL_EXPORTER_OTLP_ENDPOINT":           {"collector:4317", `"collector:4317" does not begin with https:// or http://; write it as https://host.example.com`},
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT":    {"http://c/?key=hunter2", "has a query; remove the ? and what follows it; keys belong into OTEL_EXPORTER_OTLP_HEADERS"},
		"OTEL_EXPORTER_OTLP_INSECURE":           {"1", `"1" is neither true nor false; write true or false`},
		"OTEL_EXPORTER_OTLP_PROTOCOL":           {"thrift", `"thrift" is not one of the possible values; write http/protobuf, http/json or grpc`},
		"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL":    {"http", `"http" is not one of the possible values; write http/protobuf, http/json or grpc`},
		"OTEL_EXPORTER_OTLP_COMPRESSION":        {"zstd", `"zstd" is not one of the possible values; write gzip or none`},
		"OTEL_EXPORTER_OTLP_TIMEOUT":            {"10s", `"10s"` + count + "1 to 3600000"},
		"OTEL_EXPORTER_OTLP_CERTIFICATE":        {"/run/secrets/client_secret", "is set, but the endpoint is not https://; remove it, or write the endpoint with https://"},
		"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": {"x", "and OTEL_EXPORTER_OTLP_CLIENT_KEY are not both set; set both or neither"},
		"OTEL_BSP_SCHEDULE_DELAY":               {"5s", `"5s"` + count + "1 to 86400000"},
		"OTEL_BSP_EXPORT_TIMEOUT":               {"-1", `"-1"` + count + "1 to 86400000"},
		"OTEL_BSP_MAX_QUEUE_SIZE":               {"-1", `"-1"` + count + "1 to 1048576"},
		"OTEL_BSP_MAX_EXPORT_BATCH_SIZE":        {"4096", "is more than the queue holds (OTEL_BSP_MAX_QUEUE_SIZE, 2048); write at most as much"},
		"OTEL_ATTRIBUTE_COUNT_LIMIT":            {"many", `"many"` + count + "0 to 1048576"},
		"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT":       {"1e3", `"1e3"` + count + "0 to 1048576"},
	} {
		t.Run(name, func(t *testing.T) {
			wantTracingFault(t, name+": "+c.want, "OTEL_TRACES_EXPORTER=otlp", name+"="+c.val)
		})
	}
}

func wantTracingFault(t *testing.T, want string, environ ...string) {
	t.Helper()
	if strings.HasPrefix(want, "OTEL_TRACES_EXPORTER") { // of two variables the first counts
		environ = environ[1:]
	}
	_, err := config.Load([]byte(smallest), "tokenhandler.yaml", environ, readFile)
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err != nil && strings.Contains(err.Error(), "hunter2") {
		t.Error("a secret is repeated")
	}
}

// Variables that are good alone, and not together.
func TestTracingFaultsOfSeveral(t *testing.T) {
	for _, c := range [][]string{
		{`OTEL_TRACES_SAMPLER_ARG: "lots" is not a ratio; write a number from 0 to 1, such as 0.1`, "OTEL_TRACES_SAMPLER=traceidratio", "OTEL_TRACES_SAMPLER_ARG=lots"},
		{`OTEL_TRACES_SAMPLER_ARG: "NaN" is not a ratio; write a number from 0 to 1, such as 0.1`, "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=NaN"},
		{"OTEL_TRACES_EXPORTER: holds none beside others; write none alone, or remove it", "", "OTEL_TRACES_EXPORTER=otlp,none"},
		{"OTEL_PROPAGATORS: holds none beside others; write none alone, or remove it", "OTEL_PROPAGATORS=none,b3"},
		// The exporter would send keys in the clear.
		{"OTEL_EXPORTER_OTLP_INSECURE: contradicts the scheme of the endpoint; remove it", "OTEL_EXPORTER_OTLP_ENDPOINT=https://c", "OTEL_EXPORTER_OTLP_INSECURE=true"},
		{"OTEL_EXPORTER_OTLP_TRACES_INSECURE: contradicts the scheme of the endpoint; remove it", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c", "OTEL_EXPORTER_OTLP_TRACES_INSECURE=false"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE: names a file that does not exist; check the path, and that the secret is mounted", "OTEL_EXPORTER_OTLP_ENDPOINT=https://c", "OTEL_EXPORTER_OTLP_CERTIFICATE=/missing"},
		{"OTEL_EXPORTER_OTLP_CERTIFICATE: names a file that holds no PEM certificate; check the path", "OTEL_EXPORTER_OTLP_ENDPOINT=https://c", "OTEL_EXPORTER_OTLP_CERTIFICATE=/run/secrets/admin_token"},
		{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE: is more than the queue holds (OTEL_BSP_MAX_QUEUE_SIZE, 5); write at most as much", "OTEL_BSP_MAX_QUEUE_SIZE=5", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=6"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT: holds a user name or password; remove what stands before the @", "OTEL_EXPORTER_OTLP_ENDPOINT=https://user:hunter2@c"},
	} {
		wantTracingFault(t, c[0], append([]string{"OTEL_TRACES_EXPORTER=otlp"}, c[1:]...)...)
	}
}

func TestTracingClientCertificate(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secretKey, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{
		"certificate": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}),
		"key":         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secretKey}),
	}
	read := func(name string) ([]byte, error) {
		if content, ok := files[name]; ok {
			return content, nil
		}
		return readFile(name)
	}
	load := func(key string) error {
		_, err := config.Load([]byte(smallest), "tokenhandler.yaml", []string{
			"OTEL_EXPORTER_OTLP_ENDPOINT=https://c", "OTEL_EXPORTER_OTLP_CERTIFICATE=certificate",
			"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE=certificate", "OTEL_EXPORTER_OTLP_CLIENT_KEY=" + key,
		}, read)
		return err
	}
	if err := load("key"); err != nil {
		t.Error(err)
	}
	var faults config.Faults
	if err := load("certificate"); !errors.As(err, &faults) || len(faults) != 1 || faults[0].Where != "OTEL_EXPORTER_OTLP_CLIENT_KEY" {
		t.Errorf("a certificate as key: %v", err)
	}
}
