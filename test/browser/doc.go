// Package browser tests the local stack with a real Chromium, and a whole visit, from login to logout, with Firefox and WebKit, too. It
// observes everything that the DevTools protocol reports and looks for tokens in every place that a script can read. It also plays a hostile site that the user
// visits.
//
// The tests do not depend on the token handler's code. They use mouse, keyboard and developer tools, and ask the stack's other servers what
// happened. They cover what tests without a browser cannot: cookies that a browser refuses or sends, policies that block the app
// itself, the Back button, several tabs, and attacks whose success depends on the browser.
package browser
