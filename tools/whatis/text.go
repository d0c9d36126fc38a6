package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// widest is the most that a column of values takes; what is longer pushes its
// own rule to the right.
const widest = 44

// write prints parts for people. The writer keeps its first error for Flush.
func write(out *bufio.Writer, parts []part) {
	for _, p := range parts {
		if p.Input != "" {
			fmt.Fprintf(out, "%s  %s\n", p.Of, plain(p.Input))
		} else {
			fmt.Fprintln(out, p.Of)
		}
		fields, values := 0, 0
		for _, s := range p.Said {
			fields = max(fields, utf8.RuneCountInString(plain(s.Field)))
			if n := utf8.RuneCountInString(plain(s.Value)); n <= widest {
				values = max(values, n)
			}
		}
		for _, s := range p.Said {
			value := plain(s.Value)
			if value == "" {
				value = "–"
			}
			line := fmt.Sprintf("  %-*s  %-*s  %s", fields, plain(s.Field), values, value, plain(s.Rule))
			fmt.Fprintln(out, strings.TrimRight(line, " "))
		}
		fmt.Fprintln(out)
	}
}

// plain shows what cannot be printed as an escape: an agent may hold anything,
// and a terminal obeys.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\ufffd'
	}, s)
}

// quote is s as JSON.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // a string always has a JSON form
	}
	return string(b)
}
