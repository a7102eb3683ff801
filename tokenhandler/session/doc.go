// Package session keeps the session of a user in the cookies of the browser, by
// gorilla/sessions.
//
// A [Session] is one login with its tokens. A [Store] is a sessions.Store: it opens
// a session from the cookies of a request and writes it to the cookies of an answer.
// It also ends a session that was idle for too long or has reached the end of its
// absolute lifetime.
//
// A session cookie, from a request to an answer:
//
//  1. [Store.Get] or [Store.New] reads the Cookie header (cookie.go), and refuses
//     more or larger cookies than the service sets, before any cryptography.
//  2. The sealed value is opened by a seal.Codec (open.go). The payload is decoded
//     into a Session (payload.go), and the activity cookie into an [Activity]; both
//     are now in the Values of the gorilla session.
//  3. The caller changes the Values: after a login it puts in a session of
//     [Store.Begin], after a refresh one of [Store.Next]. To log out, it sets
//     Options.MaxAge to -1.
//  4. Save of the gorilla session calls [Store.Save] (save.go). It encodes and seals
//     the session, splits it between two cookies if it is too large for one, and
//     writes Set-Cookie with the attributes of Options (setCookie in cookie.go).
//
// Login cookies, which hold the state of a login until the provider's redirect comes
// back, take the same way with the Values of the caller.
//
// The attacks that the package stands against: a stolen cookie jar (everything is
// sealed), parts of different sessions put together (one ciphertext covers all
// parts), a planted or crafted cookie (names with the prefix __Host-Http-; limits
// before cryptography), and an idle session that is kept alive by polling (only the
// user's activity counts, and it is sealed together with the session's id).
//
// The package does not depend on OAuth, refreshing, revoked sessions and routes.
package session
