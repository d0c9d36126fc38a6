package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/reuna/reuna/benchmarks/chart"
)

// Goals of the project for the store.
const (
	goalBytes = 200  // an event, in use and settled
	goalOpen  = 3000 // milliseconds, with five million persons
)

// markdown prints the tables: where the bytes are, for each run, and then
// everything else with a column for each run.
func (r *Report) markdown(out io.Writer) {
	fmt.Fprint(out, "# The store with millions of persons\n\n"+
		"Made by `go run ./benchmarks/store`; `store.json` has every figure. benchmarks/README.md says what is measured and how.\n")
	for i := range r.Runs {
		r.Runs[i].conditions(out)
		r.Runs[i].bytes(out)
	}
	fmt.Fprint(out, "\n## Time and memory\n\n|")
	rule := "|---|"
	for i := range r.Runs {
		fmt.Fprintf(out, " | %s persons", thousands(int64(r.Runs[i].Total())))
		rule += "---|"
	}
	fmt.Fprintf(out, " |\n%s\n", rule)
	for _, line := range lines {
		fmt.Fprintf(out, "| %s |", line.name)
		for i := range r.Runs {
			fmt.Fprintf(out, " %s |", cmp.Or(line.of(&r.Runs[i]), "–"))
		}
		fmt.Fprintln(out)
	}
}

func (run *Run) conditions(out io.Writer) {
	e := run.Environment
	fmt.Fprintf(out, "\n## %s persons, %s events\n\n", thousands(int64(run.Total())), thousands(run.Load.Events*int64(max(1, run.Copied.Copies))))
	if run.Copied.Copies > 1 {
		fmt.Fprintf(out, "%s persons were loaded and settled. Their records were then written %d times more under other hashes, all but the log. ", thousands(int64(run.Persons)), run.Copied.Copies-1)
	}
	light := "one to three"
	if run.Mean < fullMean {
		light = "one"
	}
	fmt.Fprintf(out, "%.1f events a visitor (three in four leave %s, the busiest %s), one visitor in twenty logs in; a request with one event has %.0f bytes of JSON. "+
		"The events are spread over %.0f days. ", float64(run.Load.Events)/float64(run.Persons), light, thousands(int64(run.Load.Busiest)), run.Load.JSON, spread.Hours()/24)
	fmt.Fprintf(out, "%d cores (%s), %s, kernel %s, data on %s, %s; the disk writes %.0f MB/s, and an fsync takes %.1f ms. ",
		e.Cores, e.CPU, e.OS, e.Kernel, e.Disk, e.Go, run.Disk.Write, run.Disk.Fsync)
	if run.Note != "" {
		fmt.Fprintf(out, "%s. ", run.Note)
	}
	if n := len(run.Load1); n > 0 {
		fmt.Fprintf(out, "Load average of the machine while this ran: %.1f to %.1f", slices.Min(run.Load1), slices.Max(run.Load1))
		if slices.Max(run.Load1) > float64(e.Cores)+1 {
			fmt.Fprint(out, "; other programs used it too, so times and rates are worse than they would be, while bytes and processor time stand")
		}
		fmt.Fprint(out, ".\n")
	}
}

func (run *Run) states() []*Size { return []*Size{&run.Loaded, &run.InUse, &run.Settled} }

func (run *Run) bytes(out io.Writer) {
	if run.Loaded.Events == 0 {
		return
	}
	fmt.Fprint(out, "\n| bytes an event | just loaded | in use | all settled | records in use, and bytes of one |\n|---|---|---|---|---|\n")
	for k := range run.Loaded.Spaces {
		fmt.Fprintf(out, "| %s |", run.Loaded.Spaces[k].Name)
		for _, s := range run.states() {
			if s.Events == 0 {
				fmt.Fprint(out, " – |")
				continue
			}
			fmt.Fprintf(out, " %.1f |", s.each(k))
		}
		x := run.Loaded.Spaces[k]
		if run.InUse.Events > 0 {
			x = run.InUse.Spaces[k]
		}
		fmt.Fprintf(out, " %s of %.0f |\n", thousands(x.Keys), float64(x.Bytes)/float64(max(1, x.Keys)))
	}
	fmt.Fprint(out, "| **all** |")
	for i, s := range run.states() {
		if s.Events == 0 {
			fmt.Fprint(out, " – |")
			continue
		}
		fmt.Fprintf(out, " **%.1f**", s.PerEvent())
		if i > 0 {
			fmt.Fprint(out, verdict(s.PerEvent(), goalBytes))
		}
		fmt.Fprint(out, " |")
	}
	fmt.Fprintf(out, " goal: ≤ %d |\n", goalBytes)
	fmt.Fprintf(out, "\nAll tables are compacted. *Just loaded*: everything in the log's tail, every message id known. *In use*: the last %d hours in the tail, message ids of 7 days: "+
		"what a folder looks like while it works. *All settled*: nothing in the tail, message ids of 7 days.\n", tailHours)
}

// each is what a kind of record takes, in bytes an event.
func (s *Size) each(space int) float64 { return float64(s.Spaces[space].Bytes) / float64(s.Events) }

func verdict(v, goal float64) string {
	if v > goal {
		return " ✗"
	}
	return " ✓"
}

type line struct {
	name string
	of   func(*Run) string
}

var lines = []line{
	{"loading, events/s (CPU an event)", func(r *Run) string { return rate(r.Load.Took) }},
	{"— written to the disk, bytes an event", func(r *Run) string { return number(float64(r.Load.Took.Disk)/float64(r.Load.Events), 0) }},
	{"— most facets in memory, heap", func(r *Run) string { return thousands(int64(r.Load.Held)) + ", " + megabytes(r.Load.HeapPeak) }},
	{"opening after a clean stop, nothing cached", func(r *Run) string { return opening(&r.Clean) }},
	{"opening again, cached", func(r *Run) string { return opening(&r.Warm) }},
	{"opening after a kill or a power cut", func(r *Run) string {
		var all []string
		for i := range r.Killed {
			o := &r.Killed[i]
			if o.Millis == 0 {
				continue
			}
			all = append(all, fmt.Sprintf("%s (%s, %s entries to replay)", opening(o), ended(o), thousands(o.Parts.Replayed)))
		}
		return strings.Join(all, "; ")
	}},
	{"filling the filter of message ids, beside", func(r *Run) string {
		if r.Clean.Millis == 0 {
			return ""
		}
		return duration(r.Clean.Filter)
	}},
	{"memory after opening: resident, heap", func(r *Run) string { return memory(r.Clean.Memory) }},
	{"— of that, before opening", func(r *Run) string { return memory(r.Clean.Before) }},
	{"memory after mixed traffic, 1,000 events/s", func(r *Run) string { return memory(r.mixed().Memory) }},
	{"— an event until durable, p50 / p99", func(r *Run) string { return times(r.mixed().Write) }},
	{"— then its device's profile, p50 / p99", func(r *Run) string { return times(r.mixed().Read) }},
	{"— events/s (CPU an event)", func(r *Run) string { return rate(r.mixed().Took) }},
	{"settling as in use, events/s (CPU an event)", func(r *Run) string { return rate(r.settle(true).Took) }},
	{"settling all at once, events/s (CPU an event)", func(r *Run) string { return rate(r.settle(false).Took) }},
	{"— chunks written an event; written to the disk", func(r *Run) string {
		s := r.settle(false)
		if s.Events == 0 {
			return ""
		}
		return fmt.Sprintf("%.2f; %.0f B/event", float64(s.Chunks)/float64(s.Events), float64(s.Took.Disk)/float64(s.Events))
	}},
	{"a person's profile, cold, p50 / p99", func(r *Run) string { return times(r.History.Cold.Profile) }},
	{"— warm", func(r *Run) string { return times(r.History.Warm.Profile) }},
	{"a timeline from the tail, cold", func(r *Run) string { return times(r.Tail.Cold.Timeline) }},
	{"— warm", func(r *Run) string { return times(r.Tail.Warm.Timeline) }},
	{"a timeline from histories, cold", func(r *Run) string { return times(r.History.Cold.Timeline) }},
	{"— warm", func(r *Run) string { return times(r.History.Warm.Timeline) }},
	{"erasing a person until unreadable, least to most", func(r *Run) string {
		return erasures(r, func(e *Erased) float64 { return e.Erase }, duration)
	}},
	{"— and until gone from the disk", func(r *Run) string {
		return erasures(r, func(e *Erased) float64 { return e.Shred }, duration)
	}},
	{"— written to the disk for that", func(r *Run) string {
		return erasures(r, func(e *Erased) float64 { return float64(e.Disk) }, func(v float64) string { return megabytes(uint64(v)) })
	}},
	{"full backup", func(r *Run) string { return backedUp(&r.Full) }},
	{"backup after the mixed traffic came again", func(r *Run) string { return backedUp(&r.Added) }},
	{"memory after reading many persons", func(r *Run) string {
		var all []string
		for _, h := range r.Holds {
			if h.Read == 0 {
				continue
			}
			how := "with traffic"
			if !h.Writing {
				how = "only reading"
			}
			all = append(all, fmt.Sprintf("Hold %s, %s: %s facets, heap %s, resident %s", thousands(int64(h.Hold)), how, thousands(int64(h.Facets)), megabytes(h.Memory.Heap), megabytes(h.Memory.Resident)))
		}
		return strings.Join(all, "; ")
	}},
}

// mixed gives zeros where nothing was measured, and so does settle.
func (r *Run) mixed() *Mixed { return cmp.Or(r.Clean.Mixed, &Mixed{}) }

// settle gives the first settling in small portions, or in large ones.
func (r *Run) settle(small bool) *Settled {
	for i := range r.Settles {
		if s := &r.Settles[i]; s.Events > 0 && s.Slice > 0 == small {
			return s
		}
	}
	return &Settled{}
}

func rate(t Took) string {
	if t.Rate == 0 {
		return ""
	}
	return fmt.Sprintf("%s (%.1f µs)", thousands(int64(t.Rate)), t.Each)
}

func opening(o *Opened) string {
	if o.Millis == 0 {
		return ""
	}
	return duration(o.Millis) + verdict(o.Millis, goalOpen)
}

func memory(m Memory) string {
	if m == (Memory{}) {
		return ""
	}
	return megabytes(m.Resident) + ", " + megabytes(m.Heap)
}

func times(t Times) string {
	if t == (Times{}) {
		return ""
	}
	return fmt.Sprintf("%s / %s", duration(t.P50), duration(t.P99))
}

// erasures gives the least and the most of a figure.
func erasures(r *Run, of func(*Erased) float64, show func(float64) string) string {
	var all []float64
	for i := range r.Erased {
		all = append(all, of(&r.Erased[i]))
	}
	if len(all) == 0 {
		return ""
	}
	return show(slices.Min(all)) + " to " + show(slices.Max(all))
}

func backedUp(b *Backup) string {
	if b.Took.Seconds == 0 {
		return ""
	}
	return fmt.Sprintf("%s in %s, %s reused", megabytes(uint64(b.New)), duration(1000*b.Took.Seconds), megabytes(uint64(b.Reused)))
}

func duration(ms float64) string {
	switch {
	case ms >= 60_000:
		return fmt.Sprintf("%.1f min", ms/60_000)
	case ms >= 1000:
		return fmt.Sprintf("%.2f s", ms/1000)
	case ms >= 10:
		return fmt.Sprintf("%.0f ms", ms)
	case ms >= 0.1:
		return fmt.Sprintf("%.2f ms", ms)
	}
	return fmt.Sprintf("%.0f µs", 1000*ms)
}

func megabytes(n uint64) string {
	if n >= 1e10 {
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	}
	return thousands(int64(float64(n)/1e6+0.5)) + " MB"
}

func number(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }

// thousands writes 1234567 as 1,234,567.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// picture is the report at a glance.
func (r *Report) picture() *chart.Chart {
	c := &chart.Chart{
		Title:    "What an event leaves on the disk, and how soon a store is open",
		Subtitle: "Everything included: indexes, keys, encryption. Compacted tables; the JSON had about 926 bytes.",
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		if run.Loaded.Events == 0 {
			continue
		}
		p := chart.Panel{Title: fmt.Sprintf("%s persons, %s events: bytes an event", thousands(int64(run.Persons)), thousands(run.Load.Events)), Unit: "B"}
		for n, name := range []string{"just loaded", "in use: 72 h tail", "all settled"} {
			s := run.states()[n]
			if s.Events == 0 {
				continue
			}
			b := chart.Bar{Label: name, Value: s.PerEvent(), Text: fmt.Sprintf("%.0f B an event", s.PerEvent())}
			if n > 0 {
				b.Goal = goalBytes
			}
			for k := range s.Spaces {
				b.Parts = append(b.Parts, chart.Part{Name: s.Spaces[k].Name, Value: s.each(k)})
			}
			p.Bars = append(p.Bars, b)
		}
		c.Panels = append(c.Panels, p)
	}
	opens := chart.Panel{Title: "Opening, until the first profile is read", Unit: "ms"}
	for i := range r.Runs {
		run := &r.Runs[i]
		label := func(s string) string { return short(run.Total()) + ": " + s }
		first := len(opens.Bars)
		if run.Warm.Millis == 0 {
			continue
		}
		opens.Bars = append(opens.Bars, openBar(label("stopped, not cached"), &run.Clean), openBar(label("stopped"), &run.Warm))
		for k := range run.Killed {
			if run.Killed[k].Millis == 0 {
				break
			}
			opens.Bars = append(opens.Bars, openBar(label(ended(&run.Killed[k])+", "+short(int(run.Killed[k].Parts.Replayed))+" to replay"), &run.Killed[k]))
		}
		opens.Bars[first].GroupStart = true
	}
	c.Panels = append(c.Panels, opens)
	if len(r.Runs) > 0 {
		e := r.Runs[0].Environment
		c.Footer = append(c.Footer, fmt.Sprintf("%d cores (%s), %s, kernel %s, data on %s, %s", e.Cores, e.CPU, e.OS, e.Kernel, e.Disk, e.Go))
	}
	for i := range r.Runs {
		run := &r.Runs[i]
		if first, _, _ := strings.Cut(run.Note, ";"); first != "" { // the table has the rest
			c.Footer = append(c.Footer, short(run.Total())+": "+strings.ToLower(first[:1])+first[1:])
		}
	}
	return c
}

// ended says how a store that was not closed came to its end.
func ended(o *Opened) string {
	if o.Evicted {
		return "power cut"
	}
	return "kill"
}

func openBar(label string, o *Opened) chart.Bar {
	return chart.Bar{Label: label, Value: o.Millis, Text: duration(o.Millis), Goal: goalOpen}
}

// short writes 5000000 as 5 M.
func short(n int) string {
	switch {
	case n >= 1_000_000:
		return number(float64(n)/1e6, 0) + " M"
	case n >= 1000:
		return number(float64(n)/1e3, 0) + " k"
	}
	return strconv.Itoa(n)
}
