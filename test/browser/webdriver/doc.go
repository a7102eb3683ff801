// Package webdriver drives Debian's Firefox and WebKit in the terms of W3C's WebDriver: Firefox over its own Marionette protocol, which needs
// no further program, and WebKitGTK's MiniBrowser over WebKitWebDriver, on a screen that nobody sees.
//
// The package does not depend on what is tested, and it waits for nothing in a page: that is the caller's part.
package webdriver
