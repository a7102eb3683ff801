// Package cognitotest is a scriptable Amazon Cognito for the tests of a relying
// party: discovery, keys, hosted pages, token, revocation, userInfo and logout
// endpoints with the quirks of the real ones (tokenhandler/cognito/README.md lists
// them, with sources), on an httptest.Server, with a clock that the test sets.
//
// It plays an attacker, too: [IDTokenFaults], [AccessTokenFaults] and
// [RefreshFaults] are tokens that a relying party must refuse, named after the
// modules of the OpenID conformance suite, and [Outages] is everything that a
// provider's endpoint answers on a bad day. Every error text that the server
// invents carries [Canary], so that a test can prove that no provider text
// reaches a browser or a log.
//
// It must not know the code that it tests: of this module it imports package testkit
// only. It never ships, and its keys are published: nothing may trust them.
package cognitotest
