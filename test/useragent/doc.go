// Package useragent is a browser for tests that do not need Chromium: cookies,
// fetch metadata, redirects and CORS as Chrome does them, without rendering or
// script. What a script could have read is recorded, so that a test can prove
// that no token was ever among it.
//
// Two differences between Chrome and the cookie specification are settings:
// [UA.IgnoreRedirectChain], and sites, which are approximated by the last two
// labels of a host and can be declared with [UA.SetSite].
//
// It knows HTTP only and nothing of OAuth. Of this module it imports package testkit.
package useragent
