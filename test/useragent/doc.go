// Package useragent is a browser for tests that do not need Chromium: cookies,
// fetch metadata, redirects and CORS as Chrome does them, without rendering or
// script. What a script could have read is recorded, so that a test can prove
// that no token was ever among it.
//
// Two places where Chrome and the cookie specification differ are settings:
// [UA.IgnoreRedirectChain], and sites, which are approximated by the last two
// labels of a host and can be declared with [UA.SetSite].
//
// It knows HTTP only: nothing of OAuth, and no package of this module.
package useragent
