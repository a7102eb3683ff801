// Package chaos runs three replicas of the real binary, a real Redis server and
// a hundred browsers, breaks everything that can break for a while, and counts
// what the users lost: it must be nothing. The provider is cognitotest with
// refresh-token rotation, no grace, reuse revoking the login, tokens of five
// seconds and some latency: the hardest setting that Cognito has.
//
// What is covered: replicas that stop in order, also while the store is out and
// they hold results that it does not have; replicas that are killed while they
// wait for the provider; a store that hangs, restarts with its data and without;
// a provider that is slow or refuses; requests and answers that are cut off on
// the way to the browser. The faults of one kind follow each other, those of
// different kinds overlap, but for what follows.
//
// What is not covered, because nothing could be done about it: with rotation and
// no grace a new refresh token exists nowhere but in the provider's answer. It is
// lost if the only holder of it dies, and that is
//
//   - a replica that is killed after the provider has rotated and before the
//     result is in the store. So a kill waits until every call that the provider
//     has processed was answered and published, holds those that arrive
//     meanwhile, and strikes then; a held call whose client is gone is never
//     processed. It waits for a store that works, too.
//   - a store without its data, shortly after the replica that had made a result
//     ended and before its browser came back for it. So these two faults keep
//     some seconds, several times a browser's pause, between them.
//   - a store that stays out for longer than a replica may take to stop.
//
// A machine that stands still for longer than the token handler's margin before a
// token's end can let that end on its way to the API. Where this process saw the
// machine stand still, such an answer has a row of its own.
//
// What counts as one expiry is said at [ledger.count]; the calls that count for
// the row that must be 1.00 are those of which [script.steadyAt] is true.
//
// It must not know how the token handler is built, only what it promises: its
// configuration, its answers, its metrics and the time its leases take.
package chaos
