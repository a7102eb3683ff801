// Package config owns everything that an operator can set: the file, the
// environment variables, the defaults, the checks and the reference page.
//
// All keys are in one table, the options functions. Loading, defaults, the names of
// environment variables and reference.md are derived from it, and the tests walk
// through it, so they cannot disagree.
//
// [Load] opens no connection and resolves no name. The Config that it returns is
// complete and checked, and so are the files that it names. Load reports all faults at
// once, and what is allowed and may still be a mistake as warnings. Where another package defines which values are valid, Load calls
// that package's check; this package only adds the key, the line and the fix.
//
// Tracing has no keys. It is set up by the standard environment variables of
// OpenTelemetry.
//
// The package protects against mistakes of operators: a misspelt key that leaves a
// protection off, a plain-http URL over which tokens are sent, a secret quoted in an
// error message. Unknown keys are refused, every key that weakens a protection
// starts with "insecure", and no fault quotes a secret.
//
// It does not know how settings are used. Only cmd imports it; every other package
// has its own Config type.
package config

//go:generate go run gen_reference.go
//go:generate go run gen_schema.go
