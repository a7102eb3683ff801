// Package testkit holds what the tests of several packages need: a clock that a
// test sets, a log that can be read while it is written, assertions about error
// answers, and ways to wait for an event. It imports nothing of this module, so
// that the tests of every package can use it.
package testkit
