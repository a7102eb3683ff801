// Package hosted renders the pages of the local hosted UI: sign-in, sign-up, forgotten password, passkeys, and errors. The pages load nothing
// from other hosts.
//
// The package does not depend on what the forms do.
package hosted
