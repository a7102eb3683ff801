// Package memory is a deny list, and small maps, in the memory of one process. They are
// lost when the process ends, and other replicas do not see them. Together with a shared
// store, the list is each replica's copy, which requests ask without a network call, and
// the maps are what the replica knows while the store is out.
//
// The list protects against a copied cookie that is used after logout (ASVS V7.4.1).
// The package does not depend on cookies.
package memory
