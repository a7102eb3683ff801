// Package doctor examines what the service depends on: the provider and its client, the
// upstreams of the routes, the shared store, AWS, the bucket and the machine. Package
// config checks what is known without the network; this package asks.
//
// Every check is bounded in time, and so are all of them together: a server that hangs
// delays the result and cannot prevent it. Nothing is changed anywhere, except that the
// store is written to as a replica does twice a second, and that with Config.Write a small
// object is put into the bucket and deleted.
//
// It protects against a secret in the result, and against text of other servers that could
// end a line or control a terminal.
package doctor
