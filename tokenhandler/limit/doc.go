// Package limit owns how often one client, or one session, may do the same thing.
//
// It stands against those who try out codes or tokens, or have requests answered or
// recorded by the million. It must not know what it limits: whoever decides on a request
// asks it. Everything is in memory, so each replica allows the whole rate.
//
// It does not stand against an attacker with very many addresses: for those, the calls to
// the provider and the records of the audit trail have bounds of their own.
package limit
