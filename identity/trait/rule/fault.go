package rule

import (
	"fmt"
	"strings"

	"github.com/google/cel-go/cel"
)

// Fault is one thing that is wrong with a definition.
type Fault struct {
	Path string // such as segments[0].when
	// Line and Column count from 1 within the rule's text, columns in
	// characters; 0 when the fault is not inside a rule.
	Line, Column int
	Message      string // what was seen, what was expected
}

// Error is "path: line 1, column 5: message", without the parts not known.
func (f Fault) Error() string {
	var b strings.Builder
	if f.Path != "" {
		b.WriteString(f.Path + ": ")
	}
	b.WriteString(f.Text())
	return b.String()
}

// Text is the fault without its path, for a reader that shows places itself.
func (f Fault) Text() string {
	switch {
	case f.Line > 1:
		return fmt.Sprintf("line %d, column %d: %s", f.Line, f.Column, f.Message)
	case f.Line == 1:
		return fmt.Sprintf("column %d: %s", f.Column, f.Message)
	}
	return f.Message
}

// Faults is everything that is wrong, in the order of the definitions.
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

// maxFaults keeps a text that is no rule at all from filling a screen.
const maxFaults = 8

func (e *Env) faults(path, text string, issues *cel.Issues) (fs Faults) {
	for _, x := range issues.Errors() {
		f := Fault{Path: path, Line: max(x.Location.Line(), 1), Column: max(x.Location.Column(), 0) + 1, Message: strings.ReplaceAll(x.Message, " (in container '')", "")}
		if name, ok := strings.CutPrefix(f.Message, "undeclared reference to '"); ok {
			name = strings.TrimSuffix(name, "'")
			if strings.Contains(text, name+"(") {
				f.Message = fmt.Sprintf("there is no function %s", name)
			} else {
				f.Message = fmt.Sprintf("there is no %s; a rule here may use %s", name, strings.Join(e.names, ", "))
			}
		}
		// The parser goes on to list every token that it would have taken.
		if what, _, ok := strings.Cut(f.Message, " expecting {"); ok {
			f.Message = what
		}
		f.Message = strings.ReplaceAll(f.Message, "'<EOF>'", "the end of the rule")
		fs = append(fs, f)
		if len(fs) == maxFaults {
			break
		}
	}
	if len(fs) == 0 {
		fs = Faults{{Path: path, Message: issues.Err().Error()}}
	}
	return fs
}
