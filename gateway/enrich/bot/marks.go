package bot

import (
	_ "embed" // the tables
	"fmt"
	"slices"
	"strings"

	"github.com/reuna/reuna/identity/event"
)

//go:embed marks.txt
var marksText string

// line is one that says something in a table.
type line struct {
	number int
	text   string
}

// lines are those of a table that are neither empty nor a remark.
func lines(table string) []line {
	var out []line
	for i, text := range strings.Split(table, "\n") {
		if text = strings.TrimRight(text, "\r"); strings.TrimSpace(text) != "" && text[0] != '#' {
			out = append(out, line{i + 1, text})
		}
	}
	return out
}

// parseMarks reads marks.txt, whose head says how a line is written.
func parseMarks(table string) ([]mark, error) {
	var marks []mark
	seen := map[string]int{}
	for _, l := range lines(table) {
		fields := strings.Split(l.text, "|")
		if len(fields) != 4 {
			return nil, fmt.Errorf("bot: marks.txt line %d: saw %d fields, expected class | name | operator | mark", l.number, len(fields))
		}
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		class, name, operator, text := fields[0], fields[1], fields[2], fields[3]
		if !slices.Contains(Classes(), class) {
			return nil, fmt.Errorf("bot: marks.txt line %d: saw the class %q, expected one of %s", l.number, class, strings.Join(Classes(), ", "))
		}
		if name == "" {
			return nil, fmt.Errorf("bot: marks.txt line %d: the robot has no name", l.number)
		}
		if before := seen[text]; before != 0 {
			return nil, fmt.Errorf("bot: marks.txt line %d: the mark %q stands in line %d already", l.number, text, before)
		}
		seen[text] = l.number

		var c condition
		how, literal := "contains", text
		switch text[:min(1, len(text))] {
		case "^":
			c.start, how, literal = true, "starts with", text[1:]
		case "*":
			literal = text[1:]
		default:
			c.word = true
		}
		if strings.HasSuffix(literal, "$") {
			c.end, literal = true, literal[:len(literal)-1]
			how = "ends with"
			if c.start {
				how = "is"
			}
		}
		if len(literal) < 3 || literal != strings.ToLower(literal) {
			return nil, fmt.Errorf("bot: marks.txt line %d: the mark %q must be lower case and three letters at least: shorter ones stand in too many agents", l.number, text)
		}
		m := mark{
			verdict: event.Bot{Is: true, Class: class, Name: name, Operator: operator, Reason: "user agent " + how + " " + literal},
			rule:    fmt.Sprintf("marks.txt line %d: %s", l.number, text),
			literal: literal,
			weight:  weightOf(class, byLibrary, byHeadless, byTable),
		}
		if m.weight == byHeadless && strings.HasPrefix(literal, "headless") {
			m.weight = byHeadlessList // the browser alone: the tool that drives it says more
		}
		if c != (condition{}) {
			m.check = &c
		}
		marks = append(marks, m)
	}
	return marks, nil
}

// weightOf is the weight of a class among those that a table gives.
func weightOf(class string, library, headless, robot weight) weight {
	switch class {
	case Library:
		return library
	case Headless:
		return headless
	}
	return robot
}
