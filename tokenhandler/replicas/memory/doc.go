// Package memory is a deny list in the memory of one process. It is lost when the
// process ends, and other replicas do not see it. Together with a shared store it is
// each replica's copy of the list, which requests ask without a network call.
//
// The list protects against a copied cookie that is used after logout (ASVS V7.4.1).
// The package does not depend on cookies.
package memory
