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
