// Package cognitotest is a scriptable Amazon Cognito for the tests of a relying
// party: discovery, keys, hosted pages, token, revocation, userInfo and logout
// endpoints with the quirks of the real ones (FACTS A.0 to A.8), on an
// httptest.Server, with a clock in the test's hand.
//
// It stands in for an attacker too: [IDTokenFaults], [AccessTokenFaults] and
// [RefreshFaults] are tokens that a relying party must refuse, named after the
// modules of the OpenID conformance suite, and [Outages] is everything that a
// provider's endpoint answers on a bad day. Every error text that the server
// invents carries [Canary], so that a test can prove that no provider text
// reaches a browser or a log.
//
// It must not know the code it tests: no package of this module is imported
// here. It never ships, and its keys are published: nothing may trust them.
package cognitotest
