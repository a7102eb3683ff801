// Package tracing makes the spans of requests: of those that the service
// answers, and of those that it makes to do so. It follows OpenTelemetry's
// conventions for HTTP.
//
// It decides what a span tells, and with it what leaves for a tracing backend: a
// configured route, a method, a status, a path, never a query, a header, a body
// or an error's text. Authorization codes, tokens and presigned URLs are in
// those, and an error can quote what an upstream echoes. That is why otelhttp is
// not used: it exports whole URLs and the texts of errors.
//
// It must not know where spans go, nor who asks for them: cmd/app does.
package tracing
