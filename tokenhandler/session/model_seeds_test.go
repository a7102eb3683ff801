//go:build !race

package session_test

// defaultSeeds take some seconds.
const defaultSeeds = 300
