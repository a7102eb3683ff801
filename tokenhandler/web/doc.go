// Package web owns what both halves of the service share about HTTP: handlers
// that return an error, problem+json answers, the cross-site request check,
// safe redirects, the request log and the limits of a listener.
//
// It stands against cross-site requests (every method, GET included), open
// redirects, text of a provider or an upstream in an answer, secrets in the
// log, and slow or oversized requests.
//
// It knows nothing of sessions, tokens, Cognito or S3.
package web
