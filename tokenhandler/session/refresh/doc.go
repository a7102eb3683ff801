// Package refresh keeps the tokens of sessions fresh: one refresh of a session
// runs at a time, and every parallel request gets its result.
package refresh
