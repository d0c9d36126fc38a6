package soak

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/reuna/reuna/benchmarks/chart"
	"github.com/reuna/reuna/benchmarks/measure"
)

// Bars of a soak. What was warming up is left out: the first sixth, in which visitors
// come for the first time, caches fill and the Go heap finds its size.
const (
	warmShare = 6    // one in so many points
	mostDrift = 0.05 // memory and goroutines, in the rest, of their median
	mostSlow  = 1.25 // times p99 of its first third, in its last
)

// leastDrift is what a few of the things that drift are allowed in any case: a dozen
// goroutines come and go with what runs in the background, and less than 16 MB is the
// allocator's own play.
const (
	leastGoroutines = 12
	leastMemory     = 16e6
)

// Report is what a soak has found; its JSON is kept beside the code.
type Report struct {
	Environment   measure.Environment `json:"environment"`
	Seconds       float64             `json:"seconds"`
	WindowSeconds float64             `json:"windowSeconds"`
	Share         float64             `json:"shareOfSaturation"`
	Connections   int                 `json:"connections"`
	Visitors      int                 `json:"visitors"`
	Links         float64             `json:"linksPerSecond"`
	Saturation    float64             `json:"saturation"` // requests a second of the mixture
	Rate          float64             `json:"requestsPerSecond"`
	Requests      int64               `json:"requests"`
	Events        int64               `json:"events"`
	Linked        int64               `json:"linked"`
	Late          int64               `json:"late"`
	Refused       int64               `json:"refused"` // 429 and 503
	Failed        int64               `json:"failed"`
	Points        []Point             `json:"points"`
}

// Point is one window, and what there was at its end.
type Point struct {
	At         float64 `json:"at"` // seconds since the start
	Requests   int64   `json:"requests"`
	Refused    int64   `json:"refused"`
	P50        float64 `json:"p50"` // ms
	P99        float64 `json:"p99"`
	P999       float64 `json:"p999"`
	CPU        float64 `json:"cpu"` // cores that the gateway used
	Resident   uint64  `json:"resident"`
	Goroutines int     `json:"goroutines"`
	Files      int     `json:"files"` // open ones, connections among them
	Disk       int64   `json:"disk"`  // bytes that the data folder occupies
}

// steady are the points after the warming up.
func (r *Report) steady() []Point {
	return r.Points[min((len(r.Points)+warmShare-1)/warmShare, len(r.Points)):]
}

func column(points []Point, get func(*Point) float64) []float64 {
	list := make([]float64, len(points))
	for i := range points {
		list[i] = get(&points[i])
	}
	return list
}

func resident(p *Point) float64   { return float64(p.Resident) }
func goroutines(p *Point) float64 { return float64(p.Goroutines) }
func files(p *Point) float64      { return float64(p.Files) }
func p99(p *Point) float64        { return p.P99 }

// rise is how much get grows over all of the points, by the median of the slopes
// between any two of them (Theil 1950, Sen 1968): a few high points, which garbage
// collection and checkpoints make, do not move it.
func rise(points []Point, get func(*Point) float64) float64 {
	if len(points) < 2 {
		return 0
	}
	var slopes []float64
	for i := range points {
		for j := range i {
			slopes = append(slopes, (get(&points[i])-get(&points[j]))/(points[i].At-points[j].At))
		}
	}
	return measure.Of(slopes).Median * (points[len(points)-1].At - points[0].At)
}

// slowing is the median p99 of the last third in proportion to that of the first.
func slowing(points []Point) float64 {
	third := len(points) / 3
	if third == 0 {
		return 1
	}
	first := measure.Of(column(points[:third], p99)).Median
	last := measure.Of(column(points[len(points)-third:], p99)).Median
	return last / max(first, 1e-9)
}

// judged says whether it went on for long enough that what grows with time can be told
// from what warms up: visitors of the Zipf law's tail come for the first time, and the Go
// heap finds its size, for minutes.
func (r *Report) judged() bool { return r.Seconds >= 1800 && len(r.Points) >= 4*warmShare }

// Missed says which bars are not held; nil: none. Of a short soak only the answers are judged.
func (r *Report) Missed() error {
	var missed []error
	if r.Failed > 0 {
		missed = append(missed, fmt.Errorf("%d requests had no answer", r.Failed))
	}
	if !r.judged() {
		return errors.Join(missed...)
	}
	steady := r.steady()
	for _, x := range []struct {
		name  string
		get   func(*Point) float64
		least float64
	}{
		{"bytes resident", resident, leastMemory},
		{"goroutines", goroutines, leastGoroutines},
		{"open files", files, leastGoroutines},
	} {
		median := measure.Of(column(steady, x.get)).Median
		if grown, bar := rise(steady, x.get), max(mostDrift*median, x.least); grown > bar {
			missed = append(missed, fmt.Errorf("%.0f %s more at the end than after warming up, of %.0f; the bar is %.0f", grown, x.name, median, bar))
		}
	}
	if slow := slowing(steady); slow > mostSlow {
		missed = append(missed, fmt.Errorf("p99 was %.2f times as long in the last third as in the first, the bar is %g", slow, mostSlow))
	}
	return errors.Join(missed...)
}

func (r *Report) mark(kept bool) string {
	switch {
	case !r.judged():
		return ""
	case kept:
		return " ✓"
	}
	return " ✗"
}

// rows are the table's: what, how much in the middle, its range, how much it has grown.
func (r *Report) rows() [][]string {
	steady := r.steady()
	f := fmt.Sprintf
	row := func(name, format string, unit float64, get func(*Point) float64, least float64) []string {
		s := measure.Of(column(steady, get))
		grown := rise(steady, get)
		verdict := ""
		if least >= 0 {
			verdict = r.mark(grown <= max(mostDrift*s.Median, least))
		}
		return []string{name, f(format, s.Median/unit), f(format+" to "+format, s.Min/unit, s.Max/unit), f("%+.1f %%", 100*grown/max(s.Median, 1e-9)) + verdict}
	}
	rows := [][]string{
		row("resident, MB", "%.0f", 1e6, resident, leastMemory),
		row("goroutines", "%.0f", 1, goroutines, leastGoroutines),
		row("open files", "%.0f", 1, files, leastGoroutines),
		row("p50, ms", "%.2f", 1, func(p *Point) float64 { return p.P50 }, -1),
		row("p99, ms", "%.1f", 1, p99, -1),
		row("p99.9, ms", "%.1f", 1, func(p *Point) float64 { return p.P999 }, -1),
		row("cores used", "%.2f", 1, func(p *Point) float64 { return p.CPU }, -1),
	}
	slow := slowing(steady)
	return append(rows, []string{"p99, last third against first", f("%.2f×", slow), "", r.mark(slow <= mostSlow)})
}

func (r *Report) conditions() []string {
	e := r.Environment
	perEvent := 0.0
	if n := len(r.Points); n > 0 {
		perEvent = float64(r.Points[n-1].Disk) / float64(max(r.Events, 1))
	}
	short := ""
	if !r.judged() {
		short = "; too short to judge what drifts"
	}
	return []string{
		fmt.Sprintf("%.1f minutes at %.0f requests/s, %.0f %% of the %.0f at saturation: %d requests with %d events, all answered right; %d persons linked from two devices%s",
			r.Seconds/60, r.Rate, 100*r.Share, r.Saturation, r.Requests, r.Events, r.Linked, short),
		fmt.Sprintf("%.0f %% interact with one event, %.0f %% with %d, %.0f %% profile; %d visitors at once, each for %d requests on average; %d connections; %d requests left late, %d were refused and sent again, %d had no answer",
			100*shareInteract, 100*shareBatch, batchSize, 100*shareProfile, r.Visitors, visit, r.Connections, r.Late, r.Refused, r.Failed),
		fmt.Sprintf("the data folder occupied %.0f bytes for each event at the end; figures are of windows of %g s after the first sixth of the time", perEvent, r.WindowSeconds),
		fmt.Sprintf("%d cores (%s), %s, kernel %s, data on %s, %s; load from the same machine", e.Cores, e.CPU, e.OS, e.Kernel, e.Disk, e.Go),
	}
}

func head() []string { return []string{"", "median", "windows from/to", "grown by"} }

// Table prints the figures for people.
func (r *Report) Table(out io.Writer) error {
	_, err := io.WriteString(out, r.markdown())
	return err
}

func (r *Report) markdown() string {
	var b strings.Builder
	b.WriteString("# " + r.title() + "\n\nMade by `go run ./benchmarks -soak`; benchmarks/README.md says what is measured and how.\n\n")
	b.WriteString("- " + strings.Join(r.conditions(), "\n- ") + "\n\n")
	b.WriteString("| " + strings.Join(head(), " | ") + " |\n" + strings.Repeat("|---", len(head())) + "|\n")
	for _, row := range r.rows() {
		b.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	return b.String()
}

func (r *Report) title() string {
	if r.Seconds == 3600 {
		return "An hour under load"
	}
	return fmt.Sprintf("%.1f minutes under load", r.Seconds/60)
}

// smooth is the running median of so many points: single high windows, which are in the table,
// would hide what the chart is there to show.
const smooth = 5

func smoothed(list []float64) []float64 {
	out := make([]float64, len(list))
	for i := range list {
		from, to := max(i-smooth/2, 0), min(i+smooth/2+1, len(list))
		out[i] = measure.Of(slices.Clone(list[from:to])).Median
	}
	return out
}

func (r *Report) picture() *chart.Chart {
	x := column(r.Points, func(p *Point) float64 { return p.At / 60 })
	panel := func(title, unit string, lines ...chart.Line) chart.Panel {
		return chart.Panel{Title: title, Unit: unit, X: x, XUnit: "min", Lines: lines}
	}
	line := func(name string, get func(*Point) float64) chart.Line {
		return chart.Line{Name: name, Y: column(r.Points, get)}
	}
	calm := func(name string, get func(*Point) float64) chart.Line {
		l := line(name, get)
		l.Y = smoothed(l.Y)
		return l
	}
	return &chart.Chart{
		Title:    r.title(),
		Subtitle: fmt.Sprintf("%.0f requests a second, %.0f %% of what the machine can do", r.Rate, 100*r.Share),
		Panels: []chart.Panel{
			panel(fmt.Sprintf("Time to the answer from the schedule, in ms: running median of %d windows of %g s", smooth, r.WindowSeconds), "ms",
				calm("p50", func(p *Point) float64 { return p.P50 }), calm("p99", p99)),
			panel("Resident memory, in MB", "MB", line("memory", func(p *Point) float64 { return float64(p.Resident) / 1e6 })),
			panel("Goroutines, and open files and connections", "", line("goroutines", goroutines), line("open files", files)),
			panel("Processor cores that the gateway uses", "", calm("cores", func(p *Point) float64 { return p.CPU })),
		},
		Footer: r.conditions(),
	}
}

// Save writes the table, the JSON and the picture into a folder.
func (r *Report) Save(dir string) error {
	return r.picture().Save(dir, "soak", r, r.markdown())
}
