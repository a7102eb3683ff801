// Package bench measures what the API proxy costs: CPU, time and memory per
// request against a bare reverse proxy without any authentication, side by side
// in one process, in turn, in the same run. It owns the load, the rounds and the
// table; README.md has the method and results. It asserts that every request was
// answered, never how fast.
package bench
