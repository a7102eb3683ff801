// Package audit owns the audit trail: who logged in, who was refused, which sessions were
// ended and by whom, which files were signed. It is apart from the log: no level and no
// setting of the log leaves out an event. The function that decides something records it.
//
// It must not know what an event is about, and no event holds a token, a code or a cookie.
// It stands against somebody who acts unseen while the disk is full: with
// [Config.Refuse], what cannot be recorded is not done, except ending sessions, which
// always goes on.
package audit
