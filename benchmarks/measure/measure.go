// Package measure reads what a server process has used (from Linux's /proc and
// the file system) and sums rounds up.
package measure

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Spread is a figure over several rounds.
type Spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// Of sums values up; the zero Spread when there are none. The median of an even
// number of values is the mean of the middle two.
func Of(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	all := slices.Sorted(slices.Values(values))
	middle := len(all) / 2
	s := Spread{Min: all[0], Median: all[middle], Max: all[len(all)-1]}
	if len(all)%2 == 0 {
		s.Median = (all[middle-1] + all[middle]) / 2
	}
	return s
}

// Tick is the smallest step of CPU: the unit of times in /proc/<pid>/stat: USER_HZ, 100 on every Linux
// that Go runs on (proc(5), sysconf(_SC_CLK_TCK)).
const Tick = 10 * time.Millisecond

// CPU is the processor time that a process and its threads have used, in user
// and kernel mode, in steps of Tick.
func CPU(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	return parseStat(data)
}

// parseStat reads utime and stime, fields 14 and 15 of /proc/<pid>/stat. The
// second field is the program's name in parentheses and may hold anything.
func parseStat(data []byte) (time.Duration, error) {
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return 0, fmt.Errorf("stat is %.100q: expected a name in parentheses", data)
	}
	fields := strings.Fields(string(data[end+1:])) // field 3 is first
	if len(fields) < 13 {
		return 0, fmt.Errorf("stat has %d fields after the name: expected 13 or more", len(fields))
	}
	var total time.Duration
	for _, f := range fields[11:13] {
		n, err := strconv.ParseUint(f, 10, 38) // two of them fit a Duration
		if err != nil {
			return 0, fmt.Errorf("stat's times are %q: expected numbers", fields[11:13])
		}
		total += time.Duration(n) * Tick
	}
	return total, nil
}

// Machine is the processor time of the whole machine since its start, over all
// cores: spent on anything (or stolen by the hypervisor), and in all.
func Machine() (busy, total time.Duration, err error) {
	data, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, fmt.Errorf("processor time of the machine: %w", err)
	}
	return parseMachine(data)
}

// parseMachine reads the first line of /proc/stat (proc(5)): user, nice, system,
// idle, iowait, irq, softirq, steal; what follows is contained in user and nice.
func parseMachine(data []byte) (busy, total time.Duration, err error) {
	line, _, _ := strings.Cut(string(data), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, 0, fmt.Errorf("the first line of /proc/stat is %.100q: expected cpu and eight numbers or more", line)
	}
	for i, f := range fields[1:9] {
		n, err := strconv.ParseUint(f, 10, 36) // eight of them fit a Duration
		if err != nil {
			return 0, 0, fmt.Errorf("the first line of /proc/stat is %.100q: expected numbers", line)
		}
		total += time.Duration(n) * Tick
		if i != 3 && i != 4 {
			busy += time.Duration(n) * Tick
		}
	}
	return busy, total, nil
}

// Memory is what a process holds in RAM, in bytes: now, and at its highest.
type Memory struct {
	Resident uint64 `json:"resident"`
	Peak     uint64 `json:"peak"`
}

// MemoryOf reads the memory of a process.
func MemoryOf(pid int) (Memory, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, fmt.Errorf("memory of process %d: %w", pid, err)
	}
	var m Memory
	if m.Resident, err = parseField(data, "VmRSS"); err == nil {
		m.Peak, err = parseField(data, "VmHWM")
	}
	return m, err
}

// Written is how many bytes a process has caused to be sent to the storage
// layer (write_bytes of /proc/<pid>/io, proc(5)).
func Written(pid int) (uint64, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0, fmt.Errorf("bytes written by process %d: %w", pid, err)
	}
	return parseField(data, "write_bytes")
}

// parseField reads a "Name:   123 kB" or "name: 123" line, in bytes.
func parseField(data []byte, name string) (uint64, error) {
	for line := range strings.Lines(string(data)) {
		key, value, found := strings.Cut(line, ":")
		if !found || key != name {
			continue
		}
		number, unit, _ := strings.Cut(strings.TrimSpace(value), " ")
		n, err := strconv.ParseUint(number, 10, 50)
		if err != nil || unit != "" && unit != "kB" {
			return 0, fmt.Errorf("%s is %q: expected a number, of kB or plain", name, strings.TrimSpace(value))
		}
		if unit == "kB" {
			n *= 1024
		}
		return n, nil
	}
	return 0, fmt.Errorf("there is no line %s", name)
}

// Folder gives the bytes of all files in a folder and below it: their lengths,
// and the blocks that the disk holds for them.
func Folder(dir string) (length, disk int64, err error) {
	err = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		length += info.Size()
		disk += blocks(info)
		return nil
	})
	if err != nil {
		return 0, 0, fmt.Errorf("size of the data folder: %w", err)
	}
	return length, disk, nil
}
