// Package valkey shares the deny list, the refreshes of sessions and small maps between
// replicas through a Valkey or Redis server, version 6 or later: a single server,
// a cluster, or Amazon ElastiCache.
//
// # Keys
//
// These keys are in the store:
//
//	{tokenhandler}:store        the name of the store's incarnation and when it began
//	{tokenhandler}:denied       a stream of revocations that every replica follows
//	{tokenhandler}:lease:NAME   which replica refreshes the session now
//	{tokenhandler}:result:NAME  the newest result of its refresh, sealed
//	{tokenhandler}:map:HASH     a small map, such as what was signed for a user's folder
//	{tokenhandler}:replicas     which replicas are there, and whether they have restored what a store lost
//
// All of them carry the same hash tag, so a cluster keeps them in one slot and on
// one shard. The reason is that every script also reads the first key: only the
// server that holds a lease can know whether it has forgotten others. A shard takes
// about 1,500 refreshes a second on half a core, and a session needs one each time its
// access token ends.
//
// A session's name is part of a hash, and results are sealed by the caller. Whoever
// reads the store gets no session. Whoever writes to it can end sessions, but cannot
// create one, nor forge that a revocation was taken back: that is sealed (record.go).
// Whoever deletes entries makes replicas that start later forget them.
//
// # Outages
//
// The store may be unreachable, slow or full, and may come back without its data.
// Meanwhile the deny list of this process stays in force, and every call fails
// within [commandTimeout], or at once when the outage is known. When the store is
// back, the replica delivers its revocations, takes its leases again, and asks for
// its results again by a new [Store.Epoch]. A store that is new, restarted or
// emptied, or that no replica has reached for 12 seconds, gives no lease until every
// replica that was there shortly before has done that, however slow it is, but for no
// longer than a lease lasts: a replica that crashed does not come back. Two seconds pass
// in any case, in which the first replica tells the store of the others.
//
// The server should not evict keys (maxmemory-policy noeviction): if it evicts a
// lease, two replicas can refresh the same session at once. Redis Sentinel is not
// supported.
//
// The package does not depend on cookies, tokens or HTTP.
package valkey
