// Package spa serves the built single-page app: its files, and index.html for every
// other path, so that a deep link works after a reload.
//
// It protects against scripts that are not part of the app (a strict
// Content-Security-Policy), files that a browser takes for another type, framing, and
// access to files outside its directory. The package does not
// depend on sessions and APIs.
package spa
