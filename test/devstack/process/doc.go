// Package process owns the child programs of the local stack: where they are found, how they are started and ended, what they
// wrote, and the ports that they are given. A child never outlives its parent, not even one that was killed.
//
// The package does not depend on what the programs do.
package process
