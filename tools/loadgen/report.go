package main

import (
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/reuna/reuna/benchmarks/drive"
)

// progress writes a line each second: over the last one on a terminal, below
// it elsewhere.
type progress struct {
	out    io.Writer
	live   bool
	last   drive.Result
	opened bool // a live line awaits its newline
}

func (p *progress) line(r drive.Result) {
	seconds := (r.Elapsed - p.last.Elapsed).Seconds()
	text := fmt.Sprintf("%5.0fs  %8.0f events/s  %10d events  %d errors  %d refused  p50 %s  p99 %s",
		r.Elapsed.Seconds(), float64(r.Events-p.last.Events)/seconds, r.Events, r.Failed, r.Throttled+r.Busy,
		milliseconds(r.Percentile(50)), milliseconds(r.Percentile(99)))
	p.last = r
	if p.live {
		fmt.Fprintf(p.out, "\r%-100s", text)
		p.opened = true
		return
	}
	fmt.Fprintln(p.out, text)
}

func (p *progress) end() {
	if p.opened {
		fmt.Fprintln(p.out)
	}
}

func summary(out io.Writer, s *settings, r *drive.Result) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, format string, values ...any) {
		fmt.Fprintf(w, "%s\t%s\n", name, fmt.Sprintf(format, values...))
	}
	seconds := max(r.Elapsed.Seconds(), 1e-9)
	row("acknowledged", "%d events in %d requests, %.1f s", r.Events, r.Requests, seconds)
	row("rate", "%.0f events/s", float64(r.Events)/seconds)
	if r.Requests > 0 {
		from := "from the send"
		if s.rate > 0 {
			from = "from the schedule"
		}
		row("latency "+from, "p50 %s  p90 %s  p99 %s  p99.9 %s  max %s", milliseconds(r.Percentile(50)), milliseconds(r.Percentile(90)),
			milliseconds(r.Percentile(99)), milliseconds(r.Percentile(99.9)), milliseconds(r.Percentile(100)))
		row("answer", "%d bytes on average", r.AnswerSize/r.Requests)
	}
	if s.rate > 0 {
		row("sent late", "%d requests left more than %v behind the schedule", r.Late, drive.Late)
	}
	row("refused", "%d with 429, %d with 503", r.Throttled, r.Busy)
	row("errors", "%d attempts without an answer%s", r.Failed, lastError(r))
	if r.Unanswered > 0 {
		row("given up", "%d requests when the run ended", r.Unanswered)
	}
	w.Flush()
}

func lastError(r *drive.Result) string {
	if r.LastError == nil {
		return ""
	}
	return fmt.Sprintf(" (last: %v)", r.LastError)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
}

// isTerminal is a guess that needs no library: a character device.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
