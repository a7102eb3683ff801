// Package config owns everything an operator can set: the file, the
// environment, the defaults, the checks and the reference page.
//
// There is one table of keys (the options functions). Loading, defaults, the
// environment variables and reference.md are all read from it, so none of them
// can drift from the others; the tests walk the same table.
//
// [Load] is pure: it opens no connection, resolves no name, and reads a file
// only through the function that it is given. A value that it returns is
// complete and has been checked; the rest of the program does not check again.
//
// Tracing alone has no keys: OpenTelemetry's own variables ask for it, and are
// checked here because its SDK passes by in silence what it cannot read.
//
// It stands against the careless start: a misspelt key that silently switches
// a protection off, a plain-http URL that carries tokens, a secret repeated in
// an error message. Unknown keys are refused, every dangerous switch begins
// with "insecure", and no fault ever quotes a secret.
//
// It must not know how any of the settings are used: no HTTP handlers, no
// OAuth, no S3. Only cmd imports it; every other package takes its own Config.
package config

//go:generate go run gen_reference.go
