// Package spa serves the built single-page app: its files, and index.html for
// every other path, so that a deep link survives a reload.
//
// It stands against script that the app did not ship (a strict
// Content-Security-Policy), content that is taken for something else, framing,
// and files outside its folder. It knows nothing of sessions and APIs.
package spa
