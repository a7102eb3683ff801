// Package redislocal runs Debian's redis-server on free ports of localhost, alone or as a cluster, and does to it what can happen to a server: it stops,
// restarts with or without its data, hangs, is full, or is reached over a slow or dead network.
//
// The package does not depend on the token handler. The server's data is deleted when
// it stops.
package redislocal
