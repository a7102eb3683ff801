// Package gateway tests the token handler behind gateways that ask /auth/verify:
// a real nginx with the example's configuration, a browser in front of it, the
// token handler's binary and an API behind it.
package gateway
