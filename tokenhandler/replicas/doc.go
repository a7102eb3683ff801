// Package replicas holds what the processes that serve the same sessions share.
// The processes are called replicas; they run the same configuration behind one
// load balancer.
//
// Replicas share three things:
//
//   - the deny list: a [Revocation] ends sessions before their time on every
//     replica. A sealed cookie cannot be taken back from whoever copied it, so the
//     list is what makes it useless after logout (ASVS V7.4.1). What an operator
//     revoked can be taken back, by an entry of its own, for sessions that were not
//     refused meanwhile;
//   - refreshes: one lease and one result for each session, so that only one replica
//     at a time uses its refresh token;
//   - small maps: what was signed for a user's folder, so that two replicas do not give
//     out the same room twice.
//
// Each technology that can hold these has a folder of its own: memory for the deny
// list and the maps of one process, valkey for a Valkey or Redis server that all replicas reach.
//
// The conformance suite in test/replicastest says what a store must do, and how a
// further one is added.
//
// The package does not depend on cookies, tokens or HTTP.
package replicas
