// Package client contains the browser client of this service, as it was built from the TypeScript beside it. The service serves it, so
// that an app without a build step can import it. It must not know how the service works: the sources are an npm package, which only
// knows what /auth and /storage answer.
package client
