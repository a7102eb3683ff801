// Package redislocal runs Debian's redis-server on free ports of localhost, alone or as a cluster, and does to it what can happen to a server: it stops,
// restarts with or without its data, hangs, is full, or is reached over a slow or dead network.
//
// It must not know the token handler. Its data ends with it.
package redislocal
