package measure

import (
	"os"
	"runtime"
	"strings"
)

// Environment is where figures were taken, without anything that names the
// machine or its owner.
type Environment struct {
	Cores  int    `json:"cores"`
	CPU    string `json:"cpu,omitempty"`
	Kernel string `json:"kernel,omitempty"`
	OS     string `json:"os"`
	Go     string `json:"go"`
	Disk   string `json:"disk,omitempty"` // file system of the data folder
}

// Here is this machine's environment; what cannot be read stays empty.
func Here() Environment {
	e := Environment{Cores: runtime.NumCPU(), OS: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version()}
	if data, err := os.ReadFile("/proc/sys/kernel/osrelease"); err == nil {
		e.Kernel = strings.TrimSpace(string(data))
	}
	if data, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		e.CPU = model(data)
	}
	return e
}

// model is the first "model name" of /proc/cpuinfo.
func model(cpuinfo []byte) string {
	for line := range strings.Lines(string(cpuinfo)) {
		if key, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
