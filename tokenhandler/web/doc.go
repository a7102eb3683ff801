// Package web is what tokenhandler and oauthproxy share about HTTP: handlers that
// return an error, error responses (RFC 9457), the check for cross-site requests, CORS,
// safe redirects, the request log, and the limits of a listener.
//
// It protects against cross-site requests with any method, open redirects, text of a
// provider or an upstream in a response, secrets in the log, and slow or oversized
// requests.
//
// The package does not depend on sessions, tokens, Cognito or S3.
package web
