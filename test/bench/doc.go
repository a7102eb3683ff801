// Package bench measures what the API proxy costs: CPU, time and memory per
// request against a bare reverse proxy without any authentication, side by side
// in one process, in turn, in the same run. And what the service holds: memory
// of many connections, of transfers of gigabytes, and whatever a long mixed load
// leaves behind. It owns the load, the rounds and the tables; README.md has the
// method and results. It asserts that every request was answered and what is
// held, never how fast.
package bench
