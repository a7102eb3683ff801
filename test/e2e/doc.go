// Package e2e holds the integration tests: the real binary, the real
// cognito-local and a real S3 server, driven as a browser would (build tag
// e2e). Faults of the provider are tested elsewhere, with its double; here is
// what only the real parts can show.
package e2e
