// Package revocation says what an entry of the deny list is: which sessions
// were ended before their time. Each technology that can keep entries is a
// folder of its own: memory for one process, valkey for replicas.
//
// A sealed cookie cannot be taken back from whoever copied it; the list is what
// makes it dead (ASVS V7.4.1). Entries live until no session they name can be
// alive. It knows nothing of cookies, tokens and HTTP.
package revocation
