package growth

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/reuna/reuna/benchmarks/chart"
	"github.com/reuna/reuna/benchmarks/measure"
)

// Bars of growth.
const (
	mostCost   = 1.5 // times what an event costs with the first size
	mostMemory = 1e9 // bytes resident
	mostClean  = 1.0 // seconds to start
	mostKilled = 5.0 // seconds to start after kill -9
)

// Report is what a run has found; its JSON is kept beside the code.
type Report struct {
	Environment measure.Environment `json:"environment"`
	Rounds      int                 `json:"rounds"`
	Seconds     float64             `json:"roundSeconds"`
	Connections int                 `json:"connections"`
	Rate        float64             `json:"requestsPerSecond"` // when latency was measured
	Foreign     float64             `json:"foreignPercent"`    // of the machine's processor time, taken by others during the rounds
	Sizes       []Size              `json:"sizes"`
}

// Size is what was found with so many persons.
type Size struct {
	Persons int   `json:"persons"`
	Events  int64 `json:"events"` // that they had left before
	Hot     int   `json:"hot"`    // persons who come back
	Warm    int   `json:"warm"`   // of them had come before the first round
	Came    int   `json:"came"`   // and before memory was read

	Cost  measure.Spread `json:"microsPerEvent"`  // of the gateway's processor time, over the rounds
	Ratio measure.Spread `json:"ratio"`           // to the first size, round by round
	Mean  float64        `json:"meanMicros"`      // over all rounds
	Rates measure.Spread `json:"eventsPerSecond"` // at saturation
	Each  []Round        `json:"rounds"`          // in order: the first time that somebody comes costs more

	Requests int64          `json:"latencyRequests"`
	Late     int64          `json:"late"`
	P50      float64        `json:"p50"` // ms
	P99      float64        `json:"p99"`
	Memory   measure.Memory `json:"memory"`
	Clean    float64        `json:"cleanStartSeconds"`
	Killed   float64        `json:"killedStartSeconds"`
}

// Round is one of them.
type Round struct {
	Cost float64 `json:"microsPerEvent"`
	Came int     `json:"came"` // of the persons who come back, by its end
}

// reckon makes the figures of the rounds.
func (r *Report) reckon(list []*one) {
	for _, x := range list {
		var costs, ratios, rates []float64
		requests := int64(0)
		for i := range x.rounds {
			costs = append(costs, x.cost(i))
			ratios = append(ratios, x.cost(i)/list[0].cost(i))
			rates = append(rates, float64(x.rounds[i].Requests)/x.rounds[i].Elapsed.Seconds())
			x.size.Mean += x.cost(i) * float64(x.rounds[i].Requests)
			requests += x.rounds[i].Requests
		}
		x.size.Mean /= float64(requests)
		x.size.Cost, x.size.Ratio, x.size.Rates = measure.Of(costs), measure.Of(ratios), measure.Of(rates)
	}
}

// Missed says which bars are not held; nil: none.
func (r *Report) Missed() error {
	var missed []error
	for i := range r.Sizes {
		s := &r.Sizes[i]
		for _, x := range []struct {
			value, bar float64
			format     string
		}{
			{s.Ratio.Median, mostCost, "an event cost %.2f times what it costs with the fewest, the bar is %g"},
			{float64(s.Memory.Resident), mostMemory, "%.3g bytes were resident, the bar is %g"},
			{s.Clean, mostClean, "a start took %.2f s, the bar is %g"},
			{s.Killed, mostKilled, "a start after kill -9 took %.2f s, the bar is %g"},
		} {
			if x.value > x.bar {
				missed = append(missed, fmt.Errorf("%d persons: "+x.format, s.Persons, x.value, x.bar))
			}
		}
	}
	return errors.Join(missed...)
}

func mark(kept bool) string {
	if kept {
		return " ✓"
	}
	return " ✗"
}

func (r *Report) head() []string {
	return []string{"persons", "µs an event", "ratio", "its rounds", "events/s", fmt.Sprintf("p50 / p99 at %g/s, ms", r.Rate), "resident, MB", "start, s", "start after kill -9, s", "of those who come back, had come"}
}

func (s *Size) row() []string {
	f := fmt.Sprintf
	return []string{
		f("%d", s.Persons), f("%.1f (%.1f to %.1f)", s.Cost.Median, s.Cost.Min, s.Cost.Max),
		f("%.2f×%s", s.Ratio.Median, mark(s.Ratio.Median <= mostCost)), f("%.2f to %.2f", s.Ratio.Min, s.Ratio.Max),
		f("%.0f", s.Rates.Median), f("%.2f / %.2f", s.P50, s.P99),
		f("%.0f%s", float64(s.Memory.Resident)/1e6, mark(s.Memory.Resident <= mostMemory)),
		f("%.2f%s", s.Clean, mark(s.Clean <= mostClean)), f("%.2f%s", s.Killed, mark(s.Killed <= mostKilled)),
		f("%s before the rounds, %s after", s.share(s.Warm), s.share(s.Came)),
	}
}

func (s *Size) share(n int) string {
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(s.Hot))
}

// conditions say how and where the figures were taken.
func (r *Report) conditions() []string {
	e := r.Environment
	lines := []string{
		fmt.Sprintf("bars: an event ≤ %g × of what it costs with the fewest persons, ≤ %g MB resident, a start ≤ %g s, after kill -9 ≤ %g s", mostCost, mostMemory/1e6, mostClean, mostKilled),
		fmt.Sprintf("%d rounds of %g s of each, a second at a time in turn, %d connections; one person in %d comes back, equally often", r.Rounds, r.Seconds, r.Connections, everyHot),
	}
	for i := range r.Sizes {
		s := &r.Sizes[i]
		lines = append(lines, fmt.Sprintf("%d persons, who had left %d events: of %d who come back %d had come before the rounds and %d after them; mean of the rounds %.1f µs; %d of %d requests of the schedule left late",
			s.Persons, s.Events, s.Hot, s.Warm, s.Came, s.Mean, s.Late, s.Requests))
	}
	for i := range r.Sizes {
		if s := &r.Sizes[i]; s.Warm < s.Hot*9/10 {
			lines = append(lines, fmt.Sprintf("%d persons, round by round: %s. Whoever comes for the first time since the start is read from the disk", s.Persons, s.rounds()))
		}
	}
	lines = append(lines, fmt.Sprintf("%d cores (%s), %s, kernel %s, data on %s, %s; load from the same machine", e.Cores, e.CPU, e.OS, e.Kernel, e.Disk, e.Go))
	if r.Foreign > 5 {
		lines = append(lines, fmt.Sprintf("other programs took %.0f %% of the machine's processor time meanwhile: times are worse than they would be", r.Foreign))
	}
	return lines
}

// rounds tells what an event cost in each round and how many had come by then.
func (s *Size) rounds() string {
	var list []string
	for _, x := range s.Each {
		list = append(list, fmt.Sprintf("%.1f µs (%s had come)", x.Cost, s.share(x.Came)))
	}
	return strings.Join(list, ", ")
}

// Table prints the figures for people.
func (r *Report) Table(out io.Writer) error {
	for _, line := range r.conditions() {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(r.head(), "\t"))
	for i := range r.Sizes {
		fmt.Fprintln(w, strings.Join(r.Sizes[i].row(), "\t"))
	}
	return w.Flush()
}

func (r *Report) markdown() string {
	var b strings.Builder
	b.WriteString("# What an event costs with more persons\n\nMade by `go run ./benchmarks -growth`; benchmarks/README.md says what is measured and how.\n\n")
	b.WriteString("- " + strings.Join(r.conditions(), "\n- ") + "\n\n")
	head := r.head()
	b.WriteString("| " + strings.Join(head, " | ") + " |\n" + strings.Repeat("|---", len(head)) + "|\n")
	for i := range r.Sizes {
		b.WriteString("| " + strings.Join(r.Sizes[i].row(), " | ") + " |\n")
	}
	return b.String()
}

func (r *Report) picture() *chart.Chart {
	cost := chart.Panel{Title: "Server CPU of an event, in µs: medians of the rounds", Unit: "µs"}
	memory := chart.Panel{Title: "Resident memory after the rounds, in MB", Unit: "MB"}
	start := chart.Panel{Title: "Time to start, in seconds", Unit: "s"}
	for i := range r.Sizes {
		s := &r.Sizes[i]
		label, goal, tone := fmt.Sprintf("%d persons", s.Persons), mostCost*r.Sizes[0].Cost.Median, chart.Ours
		if i == 0 {
			goal, tone = 0, chart.Reference
		}
		cost.Bars = append(cost.Bars, chart.Bar{Label: label, Value: s.Cost.Median, Low: s.Cost.Min, High: s.Cost.Max, Goal: goal, Tone: tone,
			Text: fmt.Sprintf("%.1f µs · %.2f×", s.Cost.Median, s.Ratio.Median)})
		mb := float64(s.Memory.Resident) / 1e6
		memory.Bars = append(memory.Bars, chart.Bar{Label: label, Value: mb, Goal: mostMemory / 1e6, Tone: tone, Text: fmt.Sprintf("%.0f MB", mb)})
		start.Bars = append(start.Bars,
			chart.Bar{Label: label, Value: s.Clean, Goal: mostClean, Tone: tone, GroupStart: true, Text: fmt.Sprintf("%.2f s", s.Clean)},
			chart.Bar{Label: "after kill -9", Value: s.Killed, Goal: mostKilled, Tone: tone, Text: fmt.Sprintf("%.2f s", s.Killed)})
	}
	return &chart.Chart{
		Title:    "What an event costs with more persons",
		Subtitle: "One person in ten comes back, and is answered with their history.",
		Panels:   []chart.Panel{cost, memory, start}, Footer: r.conditions(),
		Ours: "more persons", Reference: "the fewest", Goal: "bar: at most",
	}
}

// Save writes the table, the JSON and the picture into a folder.
func (r *Report) Save(dir string) error {
	return r.picture().Save(dir, "growth", r, r.markdown())
}
