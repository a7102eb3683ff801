// Package valkey shares the deny list and the refreshes of sessions between
// replicas, by way of a Valkey or Redis server (6 or later, without cluster
// redirects).
//
// What is in the store, all under one hash tag, because every script also reads
// the first key:
//
//	{tokenhandler}:store        which life of the store this is, and since when
//	{tokenhandler}:denied       stream of revocations, which every replica follows
//	{tokenhandler}:lease:NAME   who refreshes that session now
//	{tokenhandler}:result:NAME  what its newest refresh came to, sealed
//
// A session's name is the head of a hash, and results are sealed by the caller:
// nobody who reads the store gets a session, and who writes to it can end
// sessions but make none.
//
// The store may be out, slow, full, or come back without its memory. Then the
// deny list of this process still counts, every call ends within
// [commandTimeout], and nothing is lost: revocations are delivered, leases taken
// again and results asked for again (by [Store.Epoch]) as soon as it is back.
// Until all replicas can have done so, a store that is new gives out no lease.
//
// The server should not evict keys (maxmemory-policy noeviction): a lease that
// is evicted lets two replicas refresh at once. Sentinel is not asked, and of a
// cluster the one server must have all slots that are used here, or hide the
// others behind it.
//
// It knows nothing of cookies, tokens and HTTP.
package valkey
