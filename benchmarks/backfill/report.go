package backfill

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/reuna/reuna/benchmarks/chart"
	"github.com/reuna/reuna/benchmarks/drive"
	"github.com/reuna/reuna/benchmarks/measure"
)

// Bars of a backfill.
const (
	leastRate = 100_000 // events a second
	mostSlow  = 1.5     // times the collector's p99
)

// Report is what a run has found; its JSON is kept beside the code.
type Report struct {
	Environment measure.Environment `json:"environment"`
	Population  `json:"population"`
	Persons     int        `json:"persons"`
	Events      int64      `json:"events"`       // of the population
	Within      int64      `json:"eventsWithin"` // of them received in the audience's 30 days
	Opened      float64    `json:"openedSeconds"`
	Rate        float64    `json:"requestsPerSecond"` // to the collector
	Before      Collector  `json:"before"`
	During      Collector  `json:"during"`
	Filling     Collector  `json:"filling"` // of it until the trait had the past in it,
	Judging     Collector  `json:"judging"` // and after that
	After       Collector  `json:"after"`
	Filled      float64    `json:"filledSeconds"` // until the trait had the past in it
	Ready       float64    `json:"readySeconds"`  // until the audience was known for everybody
	Read        int64      `json:"eventsRead"`    // as the desk tells
	CPU         float64    `json:"cpuSeconds"`    // of the gateway in that time, the collector's part included
	Progress    []Progress `json:"progress"`
	Size        int64      `json:"audience"`
	Truth       int64      `json:"audienceExpected"`
	Foreign     float64    `json:"foreignPercent"` // of the machine's processor time, taken by others meanwhile
	Memory      measure.Memory
}

// Collector is what the collector's visitors waited, in milliseconds.
type Collector struct {
	Requests int64          `json:"requests"`
	Late     int64          `json:"late"`
	P50      float64        `json:"p50"`
	P99      float64        `json:"p99"`
	P999     float64        `json:"p999"`
	Rounds50 measure.Spread `json:"p50OfRounds"`
	Rounds99 measure.Spread `json:"p99OfRounds"`

	all *hdrhistogram.Histogram
	// Of the rounds, ms.
	p50, p99 []float64
}

func newCollector() Collector {
	return Collector{all: hdrhistogram.New(1, drive.MaxLatency.Microseconds(), 3)}
}

// add takes a round in.
func (c *Collector) add(x *drive.Result) {
	c.Requests += x.Requests
	c.Late += x.Late
	c.all.Merge(x.Latency)
	c.p50, c.p99 = append(c.p50, millis(x.Percentile(50))), append(c.p99, millis(x.Percentile(99)))
}

// merge takes another's rounds in.
func (c *Collector) merge(o *Collector) {
	c.Requests += o.Requests
	c.Late += o.Late
	c.all.Merge(o.all)
	c.p50, c.p99 = append(c.p50, o.p50...), append(c.p99, o.p99...)
}

// reckon makes the figures of the rounds.
func (c *Collector) reckon() {
	at := func(p float64) float64 { return float64(c.all.ValueAtPercentile(p)) / 1000 }
	c.P50, c.P99, c.P999 = at(50), at(99), at(99.9)
	c.Rounds50, c.Rounds99 = measure.Of(c.p50), measure.Of(c.p99)
}

// Progress is what the desk said at some moment.
type Progress struct {
	Seconds  float64 `json:"seconds"`
	Trait    float64 `json:"trait"`    // 0 to 1
	Audience float64 `json:"audience"` // 0 to 1
	Events   int64   `json:"events"`
	Left     float64 `json:"secondsLeft"` // −1: not told
}

// Speed is events a second, those of the window alone: what a backfill reads
// besides them is not counted.
func (r *Report) Speed() float64 { return float64(r.Within) / r.Filled }

// Slower is how many times the collector's p99 was what it is otherwise.
func (r *Report) Slower() float64 { return r.During.P99 / r.Before.P99 }

// Missed says which bars are not held; nil: none.
func (r *Report) Missed() error {
	var missed []error
	if r.Speed() < leastRate {
		missed = append(missed, fmt.Errorf("%.0f events a second were filled in, the bar is %d", r.Speed(), leastRate))
	}
	if r.Slower() > mostSlow {
		missed = append(missed, fmt.Errorf("the collector's p99 was %.2f times what it is otherwise, the bar is %g", r.Slower(), mostSlow))
	}
	return errors.Join(missed...)
}

func mark(kept bool) string {
	if kept {
		return " ✓"
	}
	return " ✗"
}

// estimate is how far off the desk's estimates were, in the middle half of the
// fill: the largest share of what was really left.
func (r *Report) estimate() string {
	worst, n := 0.0, 0
	for _, p := range r.Progress {
		if left := r.Filled - p.Seconds; p.Left >= 0 && p.Seconds > r.Filled/4 && p.Seconds < r.Filled*3/4 {
			worst, n = max(worst, abs(p.Left-left)/left), n+1
		}
	}
	if n == 0 {
		return "not told"
	}
	return fmt.Sprintf("off by at most %.0f %%", 100*worst)
}

func abs(x float64) float64 { return max(x, -x) }

func (r *Report) rows() [][]string {
	f := func(format string, v ...any) string { return fmt.Sprintf(format, v...) }
	rows := [][]string{
		{"population", f("%d persons on %d devices, %d events in 90 days", r.Persons, r.Devices, r.Events), ""},
		{"events of the audience's 30 days", f("%d", r.Within), ""},
		{"filled in", f("%.1f s", r.Filled), ""},
		{"events a second", f("%.0f%s", r.Speed(), mark(r.Speed() >= leastRate)), f("≥ %d", leastRate)},
		{"events read, as the desk tells", f("%d, %.0f a second", r.Read, float64(r.Read)/r.Filled), ""},
		{"audience known for everybody after", f("%.1f s", r.Ready), ""},
		{"its size", f("%d, expected %d", r.Size, r.Truth), ""},
		{"the desk's estimate in the middle of it", r.estimate(), ""},
		{"the gateway's processor time", f("%.1f s", r.CPU), ""},
	}
	for _, c := range []struct {
		name string
		of   *Collector
	}{{"before", &r.Before}, {"during", &r.During}, {"while the trait is filled", &r.Filling}, {"while persons are judged", &r.Judging}, {"after", &r.After}} {
		rows = append(rows, []string{"collector " + c.name + ": p50 / p99 / p99.9", f("%.2f / %.2f / %.2f ms (p99 of rounds %.2f to %.2f)", c.of.P50, c.of.P99, c.of.P999, c.of.Rounds99.Min, c.of.Rounds99.Max), ""})
	}
	return append(rows,
		[]string{"p99 during against before", f("%.2f×%s", r.Slower(), mark(r.Slower() <= mostSlow)), f("≤ %g×", mostSlow)},
		[]string{"memory: resident, peak", f("%.0f, %.0f MB", float64(r.Memory.Resident)/1e6, float64(r.Memory.Peak)/1e6), ""})
}

// conditions say how and where the figures were taken.
func (r *Report) conditions() []string {
	e := r.Environment
	lines := []string{
		fmt.Sprintf("%.0f requests a second to the collector all the while, on a schedule, by other visitors than the population's", r.Rate),
		fmt.Sprintf("%d cores (%s), %s, kernel %s, data on %s, %s; load from the same machine", e.Cores, e.CPU, e.OS, e.Kernel, e.Disk, e.Go),
	}
	if r.Foreign > 5 {
		lines = append(lines, fmt.Sprintf("other programs took %.0f %% of the machine's processor time meanwhile: figures are worse than they would be", r.Foreign))
	}
	return lines
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
	b.WriteString("# A new audience over what a million persons did\n\nMade by `go run ./benchmarks -backfill`; benchmarks/README.md says what is measured and how.\n\n")
	b.WriteString("- " + strings.Join(r.conditions(), "\n- ") + "\n\n| | | bar |\n|---|---|---|\n")
	for _, row := range r.rows() {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return b.String()
}

func (r *Report) picture() *chart.Chart {
	latency := chart.Panel{Title: "Answer time of the collector, in ms from the schedule", Unit: "ms"}
	for _, p := range []struct {
		name                  string
		before, during, after float64
		goal                  float64
	}{{"p50", r.Before.P50, r.During.P50, r.After.P50, 0}, {"p99", r.Before.P99, r.During.P99, r.After.P99, r.Before.P99 * mostSlow}} {
		text := func(v float64) string { return fmt.Sprintf("%.2f ms", v) }
		latency.Bars = append(latency.Bars,
			chart.Bar{Label: p.name + " during", Value: p.during, Text: text(p.during), Goal: p.goal, GroupStart: true},
			chart.Bar{Label: "before", Value: p.before, Text: text(p.before), Tone: chart.Reference},
			chart.Bar{Label: "after", Value: p.after, Text: text(p.after), Tone: chart.Reference})
	}
	speed := chart.Panel{Title: "Events filled in, thousands a second", Unit: "k/s", Bars: []chart.Bar{
		{Label: "of the 30 days", Value: r.Speed() / 1000, Text: fmt.Sprintf("%.0f a second", r.Speed()), Goal: leastRate / 1000},
	}}
	return &chart.Chart{
		Title:    fmt.Sprintf("A new audience over what %d persons did", r.Persons),
		Subtitle: fmt.Sprintf("%d events of 30 days, filled in %.0f s while the collector goes on; %d persons are in it, as many as there should be.", r.Within, r.Filled, r.Size),
		Panels:   []chart.Panel{speed, latency}, Footer: r.conditions(),
		Ours: "during the backfill", Reference: "before and after", Goal: "bar: events at least, times at most",
	}
}

// Save writes the table, the JSON and the picture into a folder.
func (r *Report) Save(dir string) error {
	return r.picture().Save(dir, "backfill", r, r.markdown())
}
