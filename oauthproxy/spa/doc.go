// Package spa serves the built single-page app: its files, and index.html for every
// other path, so that a deep link works after a reload.
//
// It stands against scripts that are not part of the app (a strict
// Content-Security-Policy), files that a browser takes for another type, framing, and
// access to files outside its directory. It knows nothing of sessions and APIs.
package spa
