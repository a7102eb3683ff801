// Package replicastest is the conformance suite of the stores that replicas share, and a store for tests that passes it.
//
// A store must give one lease for each session, keep the newest result of a refresh, carry revocations to every replica, and
// report an outage as an error. [Run] checks this for any number of replicas, also when they act at the same time. Three stores
// run it: [Fake], which the model-based test of refreshing uses; the deny list in memory; and Valkey or Redis, as one server and as
// a cluster.
//
// To add a further store, write a package beside tokenhandler/replicas/valkey that implements [refresh.Replicas] and [DenyList],
// and call [Run] in its tests with a function that opens an empty store. Run each case against the real server, and let Break and
// Forget do to that server what can happen to it. The store is fit for use when the suite passes.
package replicastest
