package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/reuna/reuna/benchmarks/chart"
	"github.com/reuna/reuna/benchmarks/measure"
)

// table prints every figure with its spread, its goal and what has changed
// since the run before (nil: none).
func (r *Report) table(out io.Writer, before *Report) {
	e := r.Environment
	fmt.Fprintf(out, "\n%s\n", strings.Join(r.conditions(), "\n"))
	earlier := map[string]metric{}
	if before != nil {
		for _, m := range before.metrics() {
			earlier[m.name] = m
		}
		if before.Environment != e || before.Settings != r.Settings {
			fmt.Fprintf(out, "The run before had other conditions, so its absolute figures do not compare:\n%s\n", strings.Join(before.conditions(), "\n"))
		}
	}
	if e.Disk == "tmpfs" {
		fmt.Fprintln(out, "The data folder is on tmpfs, where fsync costs nothing: set TMPDIR to a folder on a disk for true figures.")
	}
	if r.Foreign > foreignMost {
		fmt.Fprintf(out, "Other programs took %.0f %% of the machine's processor time during the rounds: rates and latencies are worse than they would be. Run again when it is quiet.\n", r.Foreign)
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tmin\tmedian\tmax\tgoal\tchange\t")
	for _, m := range r.metrics() {
		goal := ""
		if m.goal > 0 {
			goal = "≤ " + strconv.FormatFloat(m.goal, 'f', -1, 64)
			if m.value.Median > m.goal {
				goal += " ✗"
			} else {
				goal += " ✓"
			}
		}
		change := ""
		if was, ok := earlier[m.name]; ok && was.value.Median != 0 {
			change = fmt.Sprintf("%+.1f %%", 100*(m.value.Median/was.value.Median-1))
		}
		number := func(v float64) string { return strconv.FormatFloat(v, 'f', m.digits, 64) }
		fmt.Fprintf(w, "%s, %s\t%s\t%s\t%s\t%s\t%s\t\n", m.name, m.unit, number(m.value.Min), number(m.value.Median), number(m.value.Max), goal, change)
	}
	w.Flush()
}

// foreignMost is the load by others, in percent, that a run may have unremarked.
const foreignMost = 5

// conditions are the lines that say how and where the figures were taken.
func (r *Report) conditions() []string {
	e, s := r.Environment, r.Settings
	return []string{
		fmt.Sprintf("%d rounds of %g s in turn, %d connections, %d visitors; answers of %d bytes", s.Rounds, s.RoundSeconds, s.Connections, s.Visitors, r.AnswerBytes),
		fmt.Sprintf("%d cores (%s), %s, kernel %s, data on %s, %s; load from the same machine", e.Cores, e.CPU, e.OS, e.Kernel, e.Disk, e.Go),
	}
}

// picture is the report at a glance.
func (r *Report) picture() *chart.Chart {
	c := &chart.Chart{
		Title:    "What an event costs, and how soon it is answered",
		Subtitle: "Parsed, enriched, recognised, stored with fsync and answered with the profile; against a handler that does nothing.",
		Footer:   r.conditions(),
	}
	cost := chart.Panel{Title: "Server CPU, in µs: medians, and the ratio to the bare handler of the same run", Unit: "µs"}
	goals := map[string]float64{}
	for _, m := range r.metrics() {
		goals[m.name] = m.goal
	}
	for _, k := range r.Cost {
		label, per := k.Name, " an event"
		if k.Name == costProfile {
			per = " a request"
		}
		cost.Bars = append(cost.Bars, bar(label, k.GatewayMicros, chart.Ours, fmt.Sprintf("%.1f µs%s · %.2f×", k.GatewayMicros.Median, per, k.Ratio.Median),
			goals[k.Name+": ratio"]*k.BareMicros.Median))
		cost.Bars[len(cost.Bars)-1].GroupStart = true
		// The batch is held against the same bare request as the single event.
		if k.Name != costBatch {
			cost.Bars = append(cost.Bars, bar("bare", k.BareMicros, chart.Reference, fmt.Sprintf("%.1f µs a request", k.BareMicros.Median), 0))
		}
	}
	latency := chart.Panel{Title: fmt.Sprintf("Answer time at %.0f requests/s, half of saturation, in ms from the schedule", r.Latency.Rate), Unit: "ms"}
	for _, p := range []struct {
		name       string
		ours, bare measure.Spread
	}{{"p50", r.Latency.Gateway.P50, r.Latency.Bare.P50}, {"p99", r.Latency.Gateway.P99, r.Latency.Bare.P99}, {"p99.9", r.Latency.Gateway.P999, r.Latency.Bare.P999}} {
		ours := bar(p.name, p.ours, chart.Ours, fmt.Sprintf("%.2f ms", p.ours.Median), goals["latency "+p.name+", gateway"])
		ours.GroupStart = true
		latency.Bars = append(latency.Bars, ours, bar("bare", p.bare, chart.Reference, fmt.Sprintf("%.2f ms", p.bare.Median), 0))
	}
	c.Panels = []chart.Panel{cost, latency}
	return c
}

func bar(label string, s measure.Spread, tone chart.Tone, text string, goal float64) chart.Bar {
	return chart.Bar{Label: label, Value: s.Median, Low: s.Min, High: s.Max, Text: text, Goal: goal, Tone: tone}
}
