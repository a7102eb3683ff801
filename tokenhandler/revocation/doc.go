// Package revocation holds the deny list: which sessions were ended before
// their time. Each technology that can keep it is a folder of its own; memory
// is the one for a single process.
//
// A sealed cookie cannot be taken back from whoever copied it; the list is what
// makes it dead (ASVS V7.4.1). Entries live until no session they name can be
// alive. It knows nothing of cookies and tokens.
package revocation
