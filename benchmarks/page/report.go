package page

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/reuna/reuna/benchmarks/chart"
	"github.com/reuna/reuna/benchmarks/measure"
)

// Budgets of the page's main thread, in milliseconds at the throttle, and of
// requests; the design's of the tag. Those of bytes are each build's own.
const (
	scriptBudget   = 100
	longestBudget  = 50
	clickBudget    = 6
	requestsBudget = 1
)

// Report is what a run has found; its JSON is kept beside the code.
type Report struct {
	Environment measure.Environment `json:"environment"`
	Browser     string              `json:"browser"`
	Throttle    int                 `json:"throttle"`
	Rounds      int                 `json:"rounds"`
	Load        float64             `json:"loadPercent"` // of the machine's processor time, this run and whatever else ran
	Costs       []Cost              `json:"costs"`
}

// Cost is one build's. Times are milliseconds of the main thread's processor
// time over those of the blank page in the same round.
type Cost struct {
	Name         string         `json:"name"`
	Bytes        Bytes          `json:"bytes"`
	Budget       int            `json:"brotliBudget"`
	Script       measure.Spread `json:"script"`
	ScriptClock  measure.Spread `json:"scriptClock"` // the same by the clock
	Longest      measure.Spread `json:"longestTask"`
	LongestClock measure.Spread `json:"longestTaskClock"`
	LongestIs    []string       `json:"longestTaskIs"` // the first script in it, round by round
	FirstClick   measure.Spread `json:"firstClick"`
	Click        measure.Spread `json:"click"`
	Requests     measure.Spread `json:"requests"`
	Leaving      measure.Spread `json:"requestsLeaving"`
}

func newCost(b build, size Bytes, visits, blank []Visit) Cost {
	over := func(number func(*Visit) float64) measure.Spread {
		values := make([]float64, len(visits))
		for i := range visits {
			values[i] = max(0, number(&visits[i])-number(&blank[i]))
		}
		return measure.Of(values)
	}
	longest := make([]string, len(visits))
	for i := range visits {
		longest[i] = visits[i].LongestIs
	}
	return Cost{
		Name: b.name, Bytes: size, Budget: b.budget,
		Script:      over(func(v *Visit) float64 { return v.Script }),
		ScriptClock: over(func(v *Visit) float64 { return v.ScriptClock }),
		// No script runs on the blank page, so its longest task with one is none.
		Longest:      over(func(v *Visit) float64 { return v.Longest }),
		LongestClock: over(func(v *Visit) float64 { return v.LongestClock }),
		LongestIs:    longest,
		FirstClick:   over(func(v *Visit) float64 { return v.FirstClick }),
		Click:        over(func(v *Visit) float64 { return v.Click }),
		Requests:     over(func(v *Visit) float64 { return float64(v.Requests) }),
		Leaving:      over(func(v *Visit) float64 { return float64(v.Leaving) }),
	}
}

// figure is one number of a cost with its budget.
type figure struct {
	name, unit string
	value      measure.Spread
	budget     float64 // the median may be that; 0: none
	digits     int
}

func (c *Cost) figures() []figure {
	one := func(n int) measure.Spread { return measure.Of([]float64{float64(n)}) }
	return []figure{
		{name: "raw", unit: "B", value: one(c.Bytes.Raw)},
		{name: "gzip", unit: "B", value: one(c.Bytes.Gzip)},
		{name: "brotli", unit: "B", value: one(c.Bytes.Brotli), budget: float64(c.Budget)},
		{name: "script", unit: "ms", value: c.Script, budget: scriptBudget, digits: 1},
		{name: "longest task", unit: "ms", value: c.Longest, budget: longestBudget, digits: 1},
		{name: "first click", unit: "ms", value: c.FirstClick, budget: clickBudget, digits: 1},
		{name: "later clicks", unit: "ms", value: c.Click, budget: clickBudget, digits: 1},
		{name: "requests of the view", value: c.Requests, budget: requestsBudget},
		{name: "requests of the clicks and when leaving", value: c.Leaving},
	}
}

func (f figure) kept() bool { return f.budget == 0 || f.value.Median <= f.budget }

// text is the median, its spread where there is one, and whether the budget is kept.
func (f figure) text() string {
	number := func(v float64) string { return fmt.Sprintf("%.*f", f.digits, v) }
	text := number(f.value.Median)
	if f.value.Min != f.value.Max {
		text += " (" + number(f.value.Min) + "–" + number(f.value.Max) + ")"
	}
	switch {
	case f.budget == 0:
	case f.kept():
		text += " ✓"
	default:
		text += " ✗"
	}
	return text
}

// Over says which budgets are passed; nil: none.
func (r *Report) Over() error {
	var over []error
	for i := range r.Costs {
		for _, f := range r.Costs[i].figures() {
			if !f.kept() {
				over = append(over, fmt.Errorf("%s: %s is %.*f %s, the budget is %g", r.Costs[i].Name, f.name, f.digits, f.value.Median, f.unit, f.budget))
			}
		}
	}
	return errors.Join(over...)
}

// conditions say how and where the figures were taken.
func (r *Report) conditions() []string {
	e := r.Environment
	return []string{
		fmt.Sprintf("%s, main thread slowed down %d times, %d rounds of fresh profiles in turn", r.Browser, r.Throttle, r.Rounds),
		fmt.Sprintf("%d cores (%s), %s, kernel %s, %s; the machine was busy for %.0f %% of the time", e.Cores, e.CPU, e.OS, e.Kernel, e.Go, r.Load),
	}
}

// rows are the table: a head, and one row a figure.
func (r *Report) rows() [][]string {
	head := []string{"", "budget"}
	var rows [][]string
	for i := range r.Costs {
		head = append(head, r.Costs[i].Name)
		for j, f := range r.Costs[i].figures() {
			if i == 0 {
				name := f.name
				if f.unit != "" {
					name += ", " + f.unit
				}
				budget := ""
				switch {
				case f.name == "brotli":
					budget = "each its own"
				case f.budget > 0:
					budget = fmt.Sprintf("≤ %g", f.budget)
				}
				rows = append(rows, []string{name, budget})
			}
			text := f.text()
			if f.name == "brotli" {
				text = strings.Replace(text, " ", fmt.Sprintf(" of %g ", f.budget), 1)
			}
			rows[j] = append(rows[j], text)
		}
	}
	return append([][]string{head}, rows...)
}

// Table prints the figures for people.
func (r *Report) Table(out io.Writer) error {
	fmt.Fprintf(out, "\n%s\n\n", strings.Join(r.conditions(), "\n"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, row := range r.rows() {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

func (r *Report) markdown() string {
	var b strings.Builder
	b.WriteString("# What the tag costs the page\n\nMade by `go run ./benchmarks -tag`; benchmarks/README.md says what is measured and how.\n\n")
	b.WriteString(strings.Join(r.conditions(), ".\n") + ".\n\n")
	for i, row := range r.rows() {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	b.WriteString("\nMedians (least–most). Times are processor time of the page's main thread over the blank page's. By the clock, with whatever else the machine did meanwhile:\n\n| | script, ms | longest task, ms |\n|---|---|---|\n")
	for _, c := range r.Costs {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", c.Name, figure{value: c.ScriptClock, digits: 1}.text(), figure{value: c.LongestClock, digits: 1}.text())
	}
	return b.String()
}

func (r *Report) picture() *chart.Chart {
	panel := func(title, unit string, pick func(*Cost) figure) chart.Panel {
		p := chart.Panel{Title: title, Unit: unit}
		for i := range r.Costs {
			f := pick(&r.Costs[i])
			p.Bars = append(p.Bars, chart.Bar{
				Label: r.Costs[i].Name, Value: f.value.Median, Low: f.value.Min, High: f.value.Max,
				Text: fmt.Sprintf("%.*f %s", f.digits, f.value.Median, f.unit), Goal: f.budget,
			})
		}
		return p
	}
	at := func(i int) func(*Cost) figure { return func(c *Cost) figure { return c.figures()[i] } }
	return &chart.Chart{
		Title:    "What the tag costs the page",
		Subtitle: fmt.Sprintf("Bytes on the wire, and the main thread's processor time over a blank page, slowed down %d times.", r.Throttle),
		Panels: []chart.Panel{
			panel("Bytes, brotli", "B", at(2)),
			panel("All scripts of a page view", "ms", at(3)),
			panel("The longest task with a script in it", "ms", at(4)),
			panel("Dispatching the first click", "ms", at(5)),
		},
		Footer: r.conditions(),
	}
}

// Save writes the table, the JSON and the picture into a folder.
func (r *Report) Save(dir string) error {
	return r.picture().Save(dir, "tag", r, r.markdown())
}
