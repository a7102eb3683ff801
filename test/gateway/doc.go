// Package gateway tests the token handler behind gateways that ask /auth/verify:
// a real nginx and a real Caddy with the examples' configuration, a browser in
// front, the token handler's binary and an API behind. Every test runs with each
// of them; what differs stands in one table.
package gateway
