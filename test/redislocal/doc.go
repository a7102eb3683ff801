// Package redislocal runs Debian's redis-server on a free port of localhost, and everything that can happen to one: it stops,
// restarts with or without its data, hangs, is full, or is reached over a slow or dead network.
//
// It must not know the token handler. Its data ends with it.
package redislocal
