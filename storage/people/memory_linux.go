package people

import (
	"bytes"
	"os"
	"strconv"
)

// spareMemory is how much memory the program may still take before the system has to
// give up anything else, in bytes: of the machine, or of its container where that has
// less. 0: it is not known. (proc_meminfo(5), "MemAvailable"; the kernel's
// "Control Group v2", "memory.max")
func spareMemory() uint64 {
	spare := uint64(0)
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(info) {
		if f := bytes.Fields(line); len(f) == 3 && string(f[0]) == "MemAvailable:" {
			spare = 1024 * number(f[1])
		}
	}
	const group = "/sys/fs/cgroup/memory."
	limit, err := os.ReadFile(group + "max") // only in a container; "max" where there is no limit
	if err != nil {
		return spare
	}
	taken, err := os.ReadFile(group + "current")
	if most := number(limit); err == nil && most > 0 {
		spare = min(spare, most-min(most, number(taken)))
	}
	return spare
}

// number is 0 for what is none.
func number(text []byte) uint64 {
	n, err := strconv.ParseUint(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
