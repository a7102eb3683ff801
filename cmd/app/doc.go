// Package app makes a running service of a configuration. It is the only
// package that knows every other one: it fills their Config structs, joins the
// login half and the proxy half, and owns listeners and shutdown.
package app
