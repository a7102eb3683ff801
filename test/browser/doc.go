// Package browser drives the whole story in a real Chromium against the local stack, watches everything that the DevTools protocol
// shows of it, and looks for tokens wherever a script could find one. It also plays the other site that the user happens to visit.
//
// It must not know how the token handler works: it has a mouse, a keyboard and the developer tools, and the stack's own servers to
// ask what really happened. It stands against what tests without a browser cannot see: cookies that a browser refuses or sends,
// policies that block the app itself, back buttons, tabs, and attacks whose success only a browser can judge.
package browser
