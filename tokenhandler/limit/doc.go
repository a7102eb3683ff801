// Package limit owns how often one client, or one session, may do the same thing.
//
// It protects against clients that try out tokens, or have requests answered or recorded
// by the million. It does not depend on what it limits: the code that decides on a request
// asks it. Everything is in memory, so each replica allows the whole rate.
//
// It does not protect against an attacker with very many addresses. The calls to the
// provider and the records of the audit trail have bounds of their own for that.
package limit
