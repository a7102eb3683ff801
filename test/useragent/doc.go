// Package useragent is a browser for tests that do not need Chromium. It treats
// cookies, Fetch Metadata, redirects and CORS as Chrome does, but renders no pages and
// runs no scripts. It records what a script could have read, so that a test can check
// that no token was readable.
//
// Two things can be set. [UA.IgnoreRedirectChain] chooses between Chrome's behaviour and
// the cookie specification's. The site of a host is approximated by its last two labels;
// [UA.SetSite] sets another one.
//
// The package has nothing of OAuth. Of this module it imports package testkit only.
package useragent
