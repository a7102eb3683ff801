//go:build race

package refresh_test

// defaultSeeds are fewer: the race detector makes synthetic time ten times as slow.
const defaultSeeds = 20
