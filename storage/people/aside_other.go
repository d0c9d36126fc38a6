//go:build !linux

package people

// threadsGiveWay says that a thread can have a priority of its own.
const threadsGiveWay = false

// giveWay does nothing where it cannot.
func giveWay() {}

// takeLong does nothing where it cannot.
func takeLong() {}

// spareMemory is not known.
func spareMemory() uint64 { return 0 }
