package audiences

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/goccy/go-yaml"

	"github.com/reuna/reuna/benchmarks/chart"
	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/benchmarks/serve"
)

// Report is what a run has found; its JSON is kept beside the code.
type Report struct {
	Environment measure.Environment `json:"environment"`
	Rounds      int                 `json:"rounds"`
	Seconds     float64             `json:"roundSeconds"`
	Connections int                 `json:"connections"`
	Visitors    int                 `json:"visitors"`
	Definitions Definitions         `json:"definitions"`
	Foreign     float64             `json:"foreignPercent"` // of the machine's processor time, taken by others during the rounds
	Costs       []Cost              `json:"costs"`
	MemoryNone  measure.Memory      `json:"memoryNone"`
	MemoryAll   measure.Memory      `json:"memoryAll"`
}

// Definitions say how many there are.
type Definitions struct {
	Traits     int `json:"traits"`
	Segments   int `json:"segments"`
	Placements int `json:"placements"`
}

// count reads the numbers from a configuration's text.
func count(text string) (Definitions, error) {
	var c struct {
		Traits     []any `yaml:"traits"`
		Segments   []any `yaml:"segments"`
		Placements []any `yaml:"placements"`
	}
	if err := yaml.Unmarshal([]byte(text), &c); err != nil {
		return Definitions{}, fmt.Errorf("the definitions: %w", err)
	}
	return Definitions{len(c.Traits), len(c.Segments), len(c.Placements)}, nil
}

// Cost is processor time of the gateway for each event in a closed loop, in
// microseconds. A round may hold one checkpoint or two, and its share of a compaction:
// what counts is the mean of all rounds.
type Cost struct {
	Name string `json:"name"`
	Mean struct {
		None float64 `json:"noneMicros"`
		All  float64 `json:"allMicros"`
		More float64 `json:"morePercent"`
	} `json:"mean"`
	None  measure.Spread `json:"noneMicros"`
	All   measure.Spread `json:"allMicros"`
	More  measure.Spread `json:"morePercent"`          // round by round
	Bar   float64        `json:"barPercent,omitempty"` // Mean.More may be that; 0: no bar
	Rates struct {
		None measure.Spread `json:"none"`
		All  measure.Spread `json:"all"`
	} `json:"eventsPerSecond"` // at saturation
}

// pair is a round of each gateway.
type pair struct{ without, with serve.Sample }

func newCost(name string, batch int, bar float64, pairs []pair) Cost {
	of := func(number func(*pair) float64) measure.Spread {
		values := make([]float64, len(pairs))
		for i := range pairs {
			values[i] = number(&pairs[i])
		}
		return measure.Of(values)
	}
	n := float64(batch)
	c := Cost{Name: name, Bar: bar,
		None: of(func(p *pair) float64 { return p.without.PerRequest() / n }),
		All:  of(func(p *pair) float64 { return p.with.PerRequest() / n }),
		More: of(func(p *pair) float64 { return 100 * (p.with.PerRequest()/p.without.PerRequest() - 1) }),
	}
	for i := range pairs {
		c.Mean.None += pairs[i].without.PerRequest() / n / float64(len(pairs))
		c.Mean.All += pairs[i].with.PerRequest() / n / float64(len(pairs))
	}
	c.Mean.More = 100 * (c.Mean.All/c.Mean.None - 1)
	c.Rates.None = of(func(p *pair) float64 { return p.without.Rate() * n })
	c.Rates.All = of(func(p *pair) float64 { return p.with.Rate() * n })
	return c
}

func (c *Cost) kept() bool { return c.Bar == 0 || c.Mean.More <= c.Bar }

func (c *Cost) bar() string {
	switch {
	case c.Bar == 0:
		return ""
	case c.kept():
		return fmt.Sprintf("≤ %g %% ✓", c.Bar)
	}
	return fmt.Sprintf("≤ %g %% ✗", c.Bar)
}

// Missed says which bars are not held; nil: none.
func (r *Report) Missed() error {
	var missed []error
	for i := range r.Costs {
		if c := &r.Costs[i]; !c.kept() {
			missed = append(missed, fmt.Errorf("%s cost %.1f %% more with the definitions than without, the bar is %g %%", c.Name, c.Mean.More, c.Bar))
		}
	}
	return errors.Join(missed...)
}

func head() []string {
	return []string{"", "none, µs an event", "all, µs an event", "more", "spread of the rounds", "bar", "events/s, none", "events/s, all"}
}

func (c *Cost) row() []string {
	return []string{
		c.Name, fmt.Sprintf("%.1f", c.Mean.None), fmt.Sprintf("%.1f", c.Mean.All), fmt.Sprintf("%+.1f %%", c.Mean.More),
		fmt.Sprintf("%+.1f to %+.1f %%", c.More.Min, c.More.Max), c.bar(), fmt.Sprintf("%.0f", c.Rates.None.Median), fmt.Sprintf("%.0f", c.Rates.All.Median),
	}
}

// conditions say how and where the figures were taken.
func (r *Report) conditions() []string {
	e, d := r.Environment, r.Definitions
	lines := []string{
		fmt.Sprintf("%d traits, %d audiences, %d placements against none; %d rounds of %g s of each, a second at a time in turn, %d connections, twice %d visitors", d.Traits, d.Segments, d.Placements, r.Rounds, r.Seconds, r.Connections, r.Visitors),
		fmt.Sprintf("%d cores (%s), %s, kernel %s, data on %s, %s; load from the same machine", e.Cores, e.CPU, e.OS, e.Kernel, e.Disk, e.Go),
		fmt.Sprintf("resident memory at the end: %.0f MB with none, %.0f MB with all", float64(r.MemoryNone.Resident)/1e6, float64(r.MemoryAll.Resident)/1e6),
	}
	if r.Foreign > 5 {
		lines = append(lines, fmt.Sprintf("other programs took %.0f %% of the machine's processor time meanwhile: times are worse than they would be", r.Foreign))
	}
	return lines
}

// Table prints the figures for people.
func (r *Report) Table(out io.Writer) error {
	fmt.Fprintf(out, "\n%s\n\n", strings.Join(r.conditions(), "\n"))
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, strings.Join(head(), "\t")+"\t")
	for i := range r.Costs {
		fmt.Fprintln(w, strings.Join(r.Costs[i].row(), "\t")+"\t")
	}
	return w.Flush()
}

func (r *Report) markdown() string {
	var b strings.Builder
	b.WriteString("# What computed traits and audiences cost\n\nMade by `go run ./benchmarks -audiences`; benchmarks/README.md says what is measured and how.\n\n")
	b.WriteString("- " + strings.Join(r.conditions(), "\n- ") + "\n\n")
	b.WriteString("| " + strings.Join(head(), " | ") + " |\n" + strings.Repeat("|---", len(head())) + "|\n")
	for i := range r.Costs {
		b.WriteString("| " + strings.Join(r.Costs[i].row(), " | ") + " |\n")
	}
	return b.String()
}

func (r *Report) picture() *chart.Chart {
	p := chart.Panel{Title: "Server CPU of an event, in µs: means, and how much more it is", Unit: "µs"}
	for i := range r.Costs {
		c := &r.Costs[i]
		goal := 0.0
		if c.Bar > 0 {
			goal = c.Mean.None * (1 + c.Bar/100)
		}
		p.Bars = append(p.Bars,
			chart.Bar{Label: shorten(c.Name), Value: c.Mean.All, Low: c.All.Min, High: c.All.Max, Goal: goal, GroupStart: true,
				Text: fmt.Sprintf("%.1f µs · %+.1f %%", c.Mean.All, c.Mean.More)},
			chart.Bar{Label: "none", Value: c.Mean.None, Low: c.None.Min, High: c.None.Max, Tone: chart.Reference, Text: fmt.Sprintf("%.1f µs", c.Mean.None)})
	}
	return &chart.Chart{
		Title:    fmt.Sprintf("What %d traits and %d audiences cost", r.Definitions.Traits, r.Definitions.Segments),
		Subtitle: "Counted, judged and answered with every event, against a gateway that has none of them.",
		Panels:   []chart.Panel{p}, Footer: r.conditions(),
		Ours: "with all", Reference: "with none", Goal: "bar: at most",
	}
}

// shorten makes a name fit before its bar.
func shorten(name string) string {
	return strings.NewReplacer("events that touch no input", "touching no input", "together", "at once").Replace(name)
}

// Save writes the table, the JSON and the picture into a folder.
func (r *Report) Save(dir string) error {
	return r.picture().Save(dir, "audiences", r, r.markdown())
}
