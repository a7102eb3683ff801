// Package wire declares the JSON bodies of the service's responses under /auth and
// /storage, and of its errors. Handlers of both halves fill them in, and the TypeScript
// types of tokenhandler/client are compared with them.
//
// It holds no logic and knows no other package of the service. No body has a field for a
// token: what a script can read, it must not be able to steal (OAuth 2.0 for
// Browser-Based Applications, section 6.1).
package wire
