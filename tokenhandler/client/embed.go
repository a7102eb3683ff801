// Package client contains the browser client of this service, as it was built from the TypeScript beside it. The service serves it, so
// that an app without a build step can import it. It must not know how the service works: the sources are an npm package, which only
// knows what /auth and /storage answer.
package client

import _ "embed" // Core and Types

// Core is the ES module that exports createAuth and ApiError.
//
//go:embed dist/client.js
var Core []byte

// Types declares in TypeScript what Core exports.
//
//go:embed dist/client.d.ts
var Types []byte
