//go:build !race

package refresh_test

// defaultSeeds take some seconds.
const defaultSeeds = 300
