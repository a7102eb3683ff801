// Package tracing makes the OpenTelemetry spans of the service: one for each
// request that it answers and one for each request that it sends. Names and
// attributes follow OpenTelemetry's semantic conventions for HTTP.
//
// The package decides what leaves for a tracing backend: a span holds the
// configured route, the method, the status and the path. It never holds a query,
// a header, a body or the text of an error, because those can hold authorization
// codes, tokens and presigned URLs. The instrumentation library otelhttp is not
// used because it exports whole URLs and the texts of errors.
//
// It does not know where spans are exported to: cmd/app sets that up.
package tracing
