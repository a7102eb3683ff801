// Package memory is a deny list in the memory of one process: it is lost with
// it, and other replicas do not see it. It stands against a copied cookie that
// is used after logout (ASVS V7.4.1), and knows nothing of cookies.
package memory
