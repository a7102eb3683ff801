// Package cognitotest is a test double of Amazon Cognito for the tests of a relying
// party. It has discovery, keys, hosted pages, token, revocation, userInfo and logout
// endpoints with the quirks of the real ones (tokenhandler/cognito/README.md lists
// them, with sources). It runs on an httptest.Server, with a clock that the test sets.
//
// It also simulates attacks and failures. [IDTokenFaults], [AccessTokenFaults] and
// [RefreshFaults] are tokens that a relying party must refuse; they have the names of
// the modules of the OpenID conformance suite. [Outages] are the ways in which an
// endpoint of a provider can fail. Every error text of the server contains [Canary],
// so that a test can check that no text of the provider reaches a browser or a log.
//
// The package is independent of the code under test: of this module it imports package
// testkit only. It is for tests only. Its private keys are published, so nothing may
// trust them.
package cognitotest
