//go:build race

package vault

// raceDetector drops pooled memory at random, so allocations cannot be counted.
const raceDetector = true
