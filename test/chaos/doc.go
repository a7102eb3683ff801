// Package chaos runs three replicas of the real binary, a real Redis server and
// a hundred browsers. It injects faults into all of them for a while and counts the
// logins that users lost, which must be none. The provider is cognitotest with
// refresh-token rotation, no grace period, revocation of the login when a refresh
// token is used twice, access tokens of five seconds, and some latency: the hardest
// setting that Cognito has.
//
// The faults are: replicas that shut down, also while the store is unreachable and
// they hold results that the store lacks; replicas that are killed while they wait
// for the provider, or stand still at any moment; a store that hangs, or restarts with or without its data; a
// provider that is slow or refuses calls; connections to browsers that are cut with
// requests or answers on them. All the while, attackers at a few addresses begin
// logins and send made-up codes, many more than the replicas may send to the provider,
// so that refreshes would starve if they waited behind them. Faults of one kind follow each other. Faults of
// different kinds overlap, with the exceptions below.
//
// Some losses cannot be prevented. With rotation and no grace period, a new refresh
// token is only in the provider's answer. It is lost with the last process that holds
// it. The run excludes these cases:
//
//   - A replica is killed after the provider has rotated the token and before the
//     result is in the store. Before a kill, the run therefore holds new refresh calls
//     and waits until all calls that the provider has processed were answered and
//     published. A held call whose client is gone is never processed. The kill also
//     waits until the store works.
//   - The store loses its data shortly after the replica that made a result ended, and
//     before the browser came back for it. The run therefore keeps these two faults
//     some seconds apart, which is several times a browser's pause.
//   - The store stays unreachable for longer than a replica may take to stop.
//   - A replica stands still for longer than a lease lasts, with a new refresh token that
//     nobody else has. The run's own pauses are shorter. If the whole machine stands still
//     for as long, a run may lose sessions; its report then says for how long it did.
//
// If the machine stands still for longer than the margin with which the token handler
// renews tokens, a token can expire on its way to the API. Answers from times in which
// this process observed such a pause are counted in a row of their own.
//
// [ledger.count] defines what counts as one expiry. Only calls for which
// [script.steadyAt] is true count for the row that must be 1.00.
//
// The package does not depend on how the token handler is built. It uses only
// what is documented: its configuration, its answers, its metrics and the duration of its leases.
package chaos
