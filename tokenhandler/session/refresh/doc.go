// Package refresh keeps the tokens of sessions fresh. At most one refresh of a
// session runs at a time, and every parallel request gets its result.
//
// It defends against a race of requests that logs a user out (with rotation, a
// refresh token works once, and the provider takes a second use for theft), against
// a late response that replaces a newer cookie or brings back a session that was
// ended, and against the loss of the only copy of a rotated refresh token.
//
// The package does not depend on routes, error pages and how cookies are sealed. The
// provider is a [Refresher], the other processes are [Replicas], and sessions come
// from a [session.Store].
//
// # Generations
//
// A login is generation 1 of its session, and every refresh makes the next
// generation. The browser learns of a new generation from the cookies of a response,
// which may get lost. So requests with older generations arrive at any time. For each
// session that was refreshed here, the [Manager] keeps a record. Three state machines
// describe it.
//
// A generation is partial ([session.Session.Partial]) if the provider has replaced the
// refresh token in an answer that cannot be verified yet. It has the new refresh token, and
// the access token of the generation before. It is kept, shared and written to the browser
// like any other: after a rotation no other refresh token may work.
//
// # What a request gets
//
// The state depends on the record and on the generation that the request has. The
// first row that applies counts (record.stateOf):
//
//	state       applies when                         a request that needs a new token
//	replaced    a newer generation is in memory      gets the newer generation; if that
//	                                                 is partial or has ended, it asks
//	                                                 again with it (maxRounds)
//	superseded  a newer generation with another      gets ErrSuperseded: to use the old
//	            refresh token was made, but is no    refresh token again would look like
//	            longer in memory; there is no store  theft
//	refused     the provider refused this            gets ErrRejected: the session has
//	            generation, or a later one           ended
//	running     an attempt for this generation, or   waits for that attempt
//	            a later one, runs
//	paused      the last attempt failed less than    gets UnavailableError with the time
//	            Retry-After ago                      that is left
//	ready       otherwise                            starts an attempt and waits for it
//
// UnavailableError says whether the provider is reached and refuses this session (Refused):
// it answered with another OAuth error than invalid_grant, or five times with a 5xx over a
// minute in which it refreshed other sessions. Then a login is the cure, but the session is
// kept, and tried again.
//
// A request whose token has not ended yet does not wait: it goes on with the token
// that it has. It waits if the refresh token ends before the access token (endsUnused). An attempt ends with one event (attempt.run), which changes the record
// (record.finish):
//
//	event       meaning                              the record then
//	made        the provider gave new tokens         holds the new generation; no pause
//	found       another replica made a newer         the same
//	            generation, or a browser showed it
//	partial     the provider gave a new refresh      holds the partial generation, and
//	            token, and nothing else that can be  pauses, for a second or Retry-After
//	            verified yet
//	refused     the provider, or a replica that it   notes the refused generation
//	            told, says that the refresh token
//	            is dead (invalid_grant)
//	revoked     the session was ended meanwhile      is unchanged; new tokens are given back
//	superseded  the refresh token was used, and no   is unchanged
//	            replica has its successor
//	failed      anything that may pass               pauses, for a second or Retry-After;
//	                                                 for ten if the provider refused
//	                                                 without invalid_grant
//
// # How long the newest generation is kept
//
// With rotation, the process that made a generation has the only copy of its refresh
// token until the browser shows the new cookie. So it is kept until then, and as long
// as requests with older cookies may still be on their way (newest in record.go):
//
//	            | a browser     | a browser  | an attempt made or | RefreshGrace | logout
//	            | shows a later | shows this | found a later      | is over      |
//	            | generation    | generation | generation         |              |
//	unknown     | confirmed     | –          | unconfirmed (1)    | –            | –
//	released    | confirmed     | –          | unconfirmed (1)    | –            | –
//	unconfirmed | confirmed     | confirmed  | unconfirmed (1)    | –            | released
//	confirmed   | confirmed     | –          | unconfirmed (1)    | released     | released
//
//	–: the state stays as it is.
//	unknown: the record is new.
//	unconfirmed: its tokens are in memory, and no browser has shown them yet.
//	confirmed: its tokens are in memory, and a browser has them, too.
//	released: only its number is in memory.
//	(1) confirmed, if the provider does not rotate: then an older cookie is as good. But
//	if the generation does not fit into cookies, only memory has its access token.
//
// # The steps of one attempt
//
// An attempt runs in a goroutine of its own, and goes on when its requests leave: after
// a rotation, the response holds the only token that still works. It takes these steps
// (attempt.steps). An event of the first step leaves out the second:
//
//	step   does                                        its events
//	claim  asks the store for the lease of the         found, refused: another replica was
//	       session. It goes on without a lease if      faster. superseded. failed: the store
//	       there is no store, or if the store is not   is not reached.
//	       reached and a race does no harm
//	       (Config.RotationGrace).
//	call   looks once more at the record, the deny     found, revoked, made, partial,
//	       list and the time that is left of the       refused, failed
//	       lease, because time has passed, and
//	       calls the provider, once.
//	share  if there is a lease: publishes the result   –
//	       of the event in the store, and gives up
//	       the lease.
//
// If the store does not take a result, [Manager.Run] publishes it again later.
//
// # A process that stands still
//
// A process, or its machine, may stand still between any two instructions. If it is
// stopped before the call, it does not call when the lease has ended or soon will
// (attempt.callTime). If it is stopped during the call, the call's time-out may end it
// although the response has arrived. If it is stopped later, the others wait until the
// lease has ended. Then they cannot tell it from a process that was killed: with rotation and no
// grace, the session is lost if both use the refresh token. If the store has lost its data, it
// gives no lease until each process has published again what it has
// ([Replicas].Restored), for no longer than a lease lasts.
package refresh
