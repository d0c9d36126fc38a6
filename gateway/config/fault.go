package config

import (
	"fmt"
	"slices"
	"strings"
)

// Fault is one thing that is wrong, and where. Line and Column count from 1
// and are 0 when the value did not come from a file.
type Fault struct {
	File    string
	Line    int
	Column  int
	Path    string // such as sites[0].origins[1]
	Message string // what was seen, what was expected
	// Suggestion is what was probably meant, to write in its place; the message
	// has it too. "" when nothing is near.
	Suggestion string
}

// Error is "file:line:column: path: message", without the parts not known.
func (f Fault) Error() string {
	var b strings.Builder
	if f.Line > 0 {
		fmt.Fprintf(&b, "%s:%d:%d: ", f.File, f.Line, f.Column)
	} else if f.File != "" {
		fmt.Fprintf(&b, "%s: ", f.File)
	}
	if f.Path != "" {
		b.WriteString(f.Path)
		b.WriteString(": ")
	}
	b.WriteString(f.Message)
	return b.String()
}

// Faults is everything that is wrong, in the order of the file.
type Faults []Fault

// Error is one line for each fault.
func (fs Faults) Error() string {
	lines := make([]string, len(fs))
	for i, f := range fs {
		lines[i] = f.Error()
	}
	return strings.Join(lines, "\n")
}

// Err is nil when there is no fault, else the faults.
func (fs Faults) Err() error {
	if len(fs) == 0 {
		return nil
	}
	return fs
}

// sort brings faults into the order of the file; those of one place keep theirs.
func (fs Faults) sort() {
	slices.SortStableFunc(fs, func(a, b Fault) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
}

// position is a place in a file, counted from 1.
type position struct{ line, column int }

// source remembers where each value of a Config was written.
type source struct {
	name string
	at   map[string]position
	// rules are the texts of rules as they were written, quotes and all, so that
	// a place within a rule can be found in the file.
	rules map[string]written
}

func (s *source) has(path string) bool {
	_, ok := s.at[path]
	return ok
}

// find is the place of path, or of the nearest thing around it that the file
// does hold.
func (s *source) find(path string) position {
	for {
		if p, ok := s.at[path]; ok {
			return p
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return s.at[""]
		}
		path = path[:cut]
	}
}

// Pos is where path (such as segments[2].when) stands in the file; the nearest
// enclosing key when the file leaves it out; 0, 0 when there was no file.
func (c *Config) Pos(path string) (line, column int) {
	p := c.source.find(path)
	return p.line, p.column
}

// Fault makes a fault of this configuration at path. It is how the packages
// that understand a value better than this one (rules, database files) report
// it in the same form.
func (c *Config) Fault(path, message string) Fault {
	p := c.source.find(path)
	return Fault{File: c.source.name, Line: p.line, Column: p.column, Path: path, Message: message}
}

// under says that path is root or a part of it.
func under(path, root string) bool {
	rest, ok := strings.CutPrefix(path, root)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

const maxQuoted = 64

// quoted shows a value of the file in a message: escaped, cut, on one line.
func quoted(s string) string {
	if s == "" {
		return "nothing"
	}
	if len(s) > maxQuoted {
		return fmt.Sprintf("%q…", s[:maxQuoted])
	}
	return fmt.Sprintf("%q", s)
}

// list lists the names of keys in a message.
func list(names []string) string { return strings.Join(names, ", ") }

// oneOf lists choices in a message.
func oneOf(choices []string) string {
	switch n := len(choices); n {
	case 0:
		return "nothing"
	case 1:
		return choices[0]
	default:
		return strings.Join(choices[:n-1], ", ") + " or " + choices[n-1]
	}
}
