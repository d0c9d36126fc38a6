package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/reuna/reuna/benchmarks/measure"
)

// goals of the project.
const (
	goalLink  = 5.0 // ms, two persons of 10,000 events
	goalKiosk = 2.0 // times a quiet device
)

func mark(ok bool) string {
	if ok {
		return "✓"
	}
	return "✗"
}

// table is the report as Markdown.
func (r *report) table() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format, args...) }
	p("# Recognising people\n\nMade by `go run ./benchmarks/identity`; benchmarks/README.md says what is measured and how.\n\n")
	p("%d cores (%s), %s, kernel %s, %s. Load average %s before and %s after.\n\n",
		r.here.Cores, r.here.CPU, r.here.OS, r.here.Kernel, r.here.Go, r.load[0], r.load[1])
	p("## Linking two persons of %d events each\n\n", r.o.events)
	p("| by | data on | links | p50 | p99 | most | persons of 1 event: p50 | p99 | entries in the log | bytes written, p50 |\n|---|---|---|---|---|---|---|---|---|---|\n")
	for _, l := range r.links {
		for d, name := range doors {
			var entries []string
			for _, n := range slices.Sorted(maps.Keys(l.entries[d])) {
				entries = append(entries, fmt.Sprintf("%d (%d×)", n, l.entries[d][n]))
			}
			x, y := l.large[d], l.small[d]
			p("| %s | %s | %d | %.2f ms %s | %.2f ms %s | %.2f ms | %.2f ms | %.2f ms | %s | %.0f |\n", name, l.disk, len(x),
				x.at(0.5), mark(x.at(0.5) < goalLink), x.at(0.99), mark(x.at(0.99) < goalLink), x.at(1), y.at(0.5), y.at(0.99),
				strings.Join(entries, ", "), measure.Of(l.wal[d]).Median)
		}
	}
	p("\nGoal: an answer in less than %g ms, and no event moved.\n", goalLink)
	for _, l := range r.links {
		p("On %s a write of 4 KB with its fsync takes %.2f ms (p99 %.2f ms); a link waits for one, an operator's for three.\n", l.disk, l.fsync.at(0.5), l.fsync.at(0.99))
		p("The settled events lie there in %d records of %d bytes; after the links %s.\n", l.before.records, l.before.bytes, l.unmoved())
	}
	p("\n## %d users on one device\n\n", r.o.users)
	p("| the kiosk | | kiosk | quiet device | ratio |\n|---|---|---|---|---|\n")
	for _, k := range r.kiosk {
		state := "not held"
		if k.held {
			state = "held"
		}
		row := func(what, format string, of func(c *cost) float64) {
			p("| %s | %s | "+format+" | "+format+" | %.2f %s |\n", state, what, of(&k.kiosk), of(&k.quiet), k.ratio(of), mark(k.ratio(of) <= goalKiosk))
		}
		row("an event in and the profile after it, p50", "%.4f ms", (*cost).median)
		row("p99", "%.4f ms", func(c *cost) float64 { return c.times.at(0.99) })
		row("identifiers read to work out who it is", "%.2f", (*cost).meanReads)
		row("pairs looked at", "%.2f", (*cost).meanPairs)
		p("| %s | others worked out again when one more user comes | %d of %d | | |\n", state, k.others, k.asked)
	}
	p("\nGoal: at most %g times a quiet device's.\n", goalKiosk)
	return b.String()
}

// unmoved says whether any settled event was written again.
func (l *linked) unmoved() string {
	if l.before == l.after {
		return "they are the same, to the byte ✓"
	}
	return fmt.Sprintf("they are %d records of %d bytes and not the same ✗", l.after.records, l.after.bytes)
}
