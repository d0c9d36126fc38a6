package enrich

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/reuna/reuna/benchmarks/chart"
	"github.com/reuna/reuna/benchmarks/measure"
)

// Report is what a run has found; its JSON is kept beside the code.
type Report struct {
	Environment measure.Environment `json:"environment"`
	Fixtures    []Fixture           `json:"fixtures"`
	Common      []browser           `json:"commonBrowsers"`
	Left        Left                `json:"visitorsLeftOut"`
	Classes     []Class             `json:"accuracy"`
	Costs       []Cost              `json:"costs"`
	Seconds     float64             `json:"seconds"`
}

// Fixture is what was compared with.
type Fixture struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	License string `json:"license"`
	Source  string `json:"source"`
}

// Missed says which bars are not held; nil: none.
func (r *Report) Missed() error {
	var missed []error
	for i := range r.Classes {
		if c := &r.Classes[i]; !c.Kept() {
			missed = append(missed, fmt.Errorf("%s: %s: %s, the bar is %s", c.Group, c.Name, percent(c.Ours, c.AtMost), c.bar()))
		}
	}
	for i := range r.Costs {
		if c := &r.Costs[i]; !c.Kept() {
			missed = append(missed, fmt.Errorf("%s takes %s with %.1f allocations, the bar is %s", c.Name, micros(c.Mean), c.Allocs, c.bar()))
		}
	}
	return errors.Join(missed...)
}

func percent(share *float64, fine bool) string {
	switch {
	case share == nil:
		return "–"
	case fine:
		return fmt.Sprintf("%.2f %%", *share)
	}
	// Rounded down: what misses a bar must not look as if it held it.
	return fmt.Sprintf("%.1f %%", float64(int64(*share*10+1e-6))/10)
}

func micros(v float64) string {
	switch {
	case v == 0:
		return ""
	case v < 1:
		return fmt.Sprintf("%.2f µs", v)
	}
	return fmt.Sprintf("%.1f µs", v)
}

func mark(kept bool) string {
	if kept {
		return " ✓"
	}
	return " ✗"
}

func (c *Class) bar() string {
	switch {
	case c.Bar == 0:
		return ""
	case c.AtMost:
		return fmt.Sprintf("≤ %g %%", c.Bar)
	case c.Bar == 100:
		return "100 %"
	}
	return fmt.Sprintf("≥ %g %%", c.Bar)
}

func (c *Class) row() []string {
	ours := percent(c.Ours, c.AtMost)
	if c.Bar > 0 {
		ours += mark(c.Kept())
	}
	return []string{c.Name, fmt.Sprint(c.Count), c.bar(), ours, percent(c.Mssola, c.AtMost), percent(c.UAPGo, c.AtMost)}
}

func (c *Cost) bar() string {
	var bars []string
	if c.Bar > 0 {
		bars = append(bars, fmt.Sprintf("≤ %g µs", c.Bar))
	}
	if c.NoAlloc {
		bars = append(bars, "no allocation")
	}
	return strings.Join(bars, ", ")
}

func (c *Cost) row() []string {
	mean := micros(c.Mean)
	if c.bar() != "" {
		mean += mark(c.Kept())
	}
	return []string{c.Name, c.bar(), mean, micros(c.Median), micros(c.P99), fmt.Sprintf("%.0f", c.Allocs)}
}

// conditions say how and where the figures were taken.
func (r *Report) conditions() []string {
	e := r.Environment
	return []string{fmt.Sprintf("%d cores (%s), %s, kernel %s, %s", e.Cores, e.CPU, e.OS, e.Kernel, e.Go)}
}

func classHead() []string {
	return []string{"", "how many", "bar", "Reuna", "mssola alone", "uap-go"}
}
func costHead() []string { return []string{"", "bar", "mean", "median", "p99", "allocations"} }

// Table prints the figures for people.
func (r *Report) Table(out io.Writer) error {
	fmt.Fprintf(out, "\n%s\n", strings.Join(r.conditions(), "\n"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	group := ""
	for i := range r.Classes {
		c := &r.Classes[i]
		if c.Group != group {
			group = c.Group
			fmt.Fprintf(w, "\n%s\n", strings.Join(append([]string{group}, classHead()[1:]...), "\t"))
		}
		fmt.Fprintln(w, "  "+strings.Join(c.row(), "\t"))
	}
	fmt.Fprintf(w, "\n%s\n", strings.Join(append([]string{"Processor time of one"}, costHead()[1:]...), "\t"))
	for i := range r.Costs {
		fmt.Fprintln(w, "  "+strings.Join(r.Costs[i].row(), "\t"))
	}
	return w.Flush()
}

func (r *Report) markdown() string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	head := func(cells []string) {
		line(cells)
		b.WriteString(strings.Repeat("|---", len(cells)) + "|\n")
	}
	b.WriteString("# How often enrichment is right, and what it costs\n\nMade by `go run ./benchmarks -enrich`; benchmarks/README.md says what is measured and how.\n\n")
	b.WriteString(strings.Join(r.conditions(), ".\n") + ".\n")
	group := ""
	for i := range r.Classes {
		c := &r.Classes[i]
		if c.Group != group {
			group = c.Group
			b.WriteString("\n## " + group + "\n\n")
			head(classHead())
		}
		line(c.row())
	}
	b.WriteString("\n## Processor time of one\n\n")
	head(costHead())
	for i := range r.Costs {
		line(r.Costs[i].row())
	}
	b.WriteString("\n## Common browsers\n\nThose that had 0.1 % of the page views of the world in one of the sampled releases of caniuse-lite since 2020, by the newest version that was out then:\n\n")
	head([]string{"browser", "most", "when", "families"})
	for _, c := range r.Common {
		line([]string{c.Name, fmt.Sprintf("%.2f %%", c.Most), c.When.Format("2006-01"), strings.Join(c.Families, ", ")})
	}
	b.WriteString("\n## Fixtures\n\nFetched for the run, never kept in the repository.\n\n")
	head([]string{"package", "versions", "licence", "source"})
	for i := 0; i < len(r.Fixtures); {
		f, versions := r.Fixtures[i], []string{}
		for ; i < len(r.Fixtures) && r.Fixtures[i].Name == f.Name; i++ {
			versions = append(versions, r.Fixtures[i].Version)
		}
		line([]string{f.Name, strings.Join(versions, ", "), f.License, f.Source})
	}
	return b.String()
}

func (r *Report) picture() *chart.Chart {
	var panels []chart.Panel
	add := func(title, unit string, bars []chart.Bar) {
		panels = append(panels, chart.Panel{Title: title, Unit: unit, Bars: bars})
	}
	for _, group := range groups() {
		var bars []chart.Bar
		for i := range r.Classes {
			c := &r.Classes[i]
			if c.Group != group || c.short == "" || c.Ours == nil {
				continue
			}
			bars = append(bars, chart.Bar{Label: c.short, Value: *c.Ours, Text: percent(c.Ours, false), Goal: c.Bar, GroupStart: true})
			if c.Mssola != nil {
				bars = append(bars, chart.Bar{Label: "mssola alone", Value: *c.Mssola, Text: percent(c.Mssola, false), Tone: chart.Reference})
			}
		}
		if bars != nil {
			add(group, "%", bars)
		}
	}
	var bars []chart.Bar
	for i := range r.Costs {
		if c := &r.Costs[i]; c.short != "" {
			tone := chart.Ours
			if c.Other {
				tone = chart.Reference
			}
			bars = append(bars, chart.Bar{Label: c.short, Value: c.Mean, Text: micros(c.Mean), Goal: c.Bar, Tone: tone})
		}
	}
	add("Processor time of one", "µs", bars)
	return &chart.Chart{
		Title:    "How often enrichment is right, and what it costs",
		Subtitle: "Shares of right answers on public fixtures and made agents, and what an answer takes.",
		Panels:   panels, Footer: r.conditions(),
		Ours: "Reuna", Reference: "other libraries", Goal: "bar: shares at least, times at most",
	}
}

// Save writes the table, the JSON and the picture into a folder.
func (r *Report) Save(dir string) error {
	return r.picture().Save(dir, "enrich", r, r.markdown())
}
