package soak

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/reuna/reuna/benchmarks/drive"
	"github.com/reuna/reuna/benchmarks/testgateway"
)

func TestMain(m *testing.M) { testgateway.Main(m) }

// A whole run with all kinds of traffic: a wrong answer fails it.
func TestAWholeRun(t *testing.T) {
	command, err := testgateway.Command()
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	const key = "wk_soak"
	r, err := Run(t.Context(), Options{
		Gateway: command, Dir: t.TempDir(), WriteKey: key, Duration: 6 * time.Second, Window: 500 * time.Millisecond,
		Share: 0.2, Connections: 4, Visitors: 100, Seed: 3, Log: &log,
		Config: `demo: false
trusted_proxies: [127.0.0.1/32]
log: {level: warn}
sites: [{name: soak, write_key: ` + key + `, origins: []}]
limits: {requests_per_second_per_address: 0, requests_per_second_per_key: 0, processor_wait: 0}
behaviour: {page_views_per_minute: 0}
`,
	})
	if err != nil {
		t.Fatalf("%v; it said\n%s", err, &log)
	}
	if r.Failed > 0 || r.Requests == 0 || r.Events <= r.Requests/2 || r.Linked == 0 {
		t.Errorf("%d requests with %d events, %d links, %d failed: expected some of each and no failure", r.Requests, r.Events, r.Linked, r.Failed)
	}
	if len(r.Points) < 10 {
		t.Errorf("%d windows: expected 10 or more of 12", len(r.Points))
	}
	sum := int64(0)
	for _, p := range r.Points {
		sum += p.Requests
		if p.Resident == 0 || p.Goroutines == 0 || p.Files == 0 || p.Disk == 0 {
			t.Errorf("at %g s: %+v: expected memory, goroutines, files and a data folder", p.At, p)
		}
	}
	if sum > r.Requests {
		t.Errorf("%d requests in all windows: expected %d at most", sum, r.Requests)
	}
	if err := r.Save(t.TempDir()); err != nil {
		t.Error(err)
	}
}

// series is an hour of points that jitter around 500 MB, 100 goroutines and 20 ms.
func series(t *testing.T, change func(i int, p *Point)) *Report {
	const seed = 7
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 1))
	r := &Report{Seconds: 3600, WindowSeconds: 10}
	for i := range 360 {
		p := Point{At: float64(10 * (i + 1)), P99: 20 + 10*random.Float64(), Resident: 500e6 + uint64(random.IntN(50e6)), Goroutines: 100 + random.IntN(5), Files: 90}
		if i < 60 { // it warms up
			p.Resident = 100e6 + uint64(i)*7e6
			p.P99 = 60
		}
		change(i, &p)
		r.Points = append(r.Points, p)
	}
	return r
}

func TestVerdict(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(i int, p *Point)
		missed string // in the verdict; "": all bars are held
	}{
		{"flat", func(int, *Point) {}, ""},
		{"memory leaks", func(i int, p *Point) { p.Resident += uint64(i) * 200e3 }, "bytes resident more"},
		{"memory shrinks", func(i int, p *Point) { p.Resident -= uint64(i) * 200e3 }, ""},
		{"memory has spikes", func(i int, p *Point) {
			if i%10 == 0 {
				p.Resident *= 2
			}
		}, ""},
		{"a spike at the end", func(i int, p *Point) {
			if i > 350 {
				p.Resident, p.P99 = 900e6, 900
			}
		}, ""},
		{"goroutines leak", func(i int, p *Point) { p.Goroutines += i / 10 }, "goroutines more"},
		{"files leak", func(i int, p *Point) { p.Files += i / 10 }, "open files more"},
		{"slower and slower", func(i int, p *Point) { p.P99 += float64(i) / 20 }, "p99 was"},
		{"slow in every sixth window", func(i int, p *Point) {
			if i%6 == 0 {
				p.P99 *= 5
			}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := series(t, c.change).Missed()
			switch {
			case c.missed == "" && err != nil:
				t.Errorf("the verdict is %v: expected none", err)
			case c.missed != "" && (err == nil || !strings.Contains(err.Error(), c.missed) || strings.Contains(err.Error(), "\n")):
				t.Errorf("the verdict is %v: expected %q and nothing else", err, c.missed)
			}
		})
	}
}

func TestShortSoakIsNotJudged(t *testing.T) {
	r := series(t, func(i int, p *Point) { p.Resident += uint64(i) * 1e6 })
	r.Seconds = 30
	if err := r.Missed(); err != nil {
		t.Errorf("the verdict of 30 seconds is %v: expected none", err)
	}
	if text := r.markdown(); !strings.Contains(text, "too short to judge") || strings.ContainsAny(text, "✓✗") {
		t.Errorf("the table of 30 seconds is\n%s\nexpected that it says so, and no verdict", text)
	}
	r.Failed = 3
	if err := r.Missed(); err == nil || !strings.Contains(err.Error(), "3 requests had no answer") {
		t.Errorf("the verdict is %v: expected the 3 requests without an answer", err)
	}
}

func TestWindowsCountOnlyWhatCameInThem(t *testing.T) {
	p := &part{}
	w := &watch{parts: []*part{p}}
	h := hdrhistogram.New(1, drive.MaxLatency.Microseconds(), 3)
	var last counts
	for i, micros := range []int64{1000, 8000, 2000} {
		for range 100 {
			if err := h.RecordValue(micros); err != nil {
				t.Fatal(err)
			}
		}
		p.note(drive.Result{Requests: int64(100 * (i + 1)), Busy: int64(i), Latency: h})
		var point Point
		now := w.counts()
		now.since(&last, &point)
		last = now
		ms := float64(micros) / 1000
		if point.Requests != 100 || point.P50 < 0.99*ms || point.P999 > 1.01*ms {
			t.Errorf("window %d has %d requests, p50 %g and p99.9 %g ms: expected 100 of %g ms", i, point.Requests, point.P50, point.P999, ms)
		}
		if want := min(int64(i), 1); point.Refused != want {
			t.Errorf("window %d has %d refusals: expected %d", i, point.Refused, want)
		}
	}
}

func TestPictureIsWellFormed(t *testing.T) {
	var b bytes.Buffer
	if _, err := series(t, func(int, *Point) {}).picture().WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "<polyline"); n != 6 {
		t.Errorf("the picture has %d lines: expected 6", n)
	}
	for _, word := range []string{"An hour under load", "p99", "goroutines", ">60<"} {
		if !strings.Contains(b.String(), word) {
			t.Errorf("the picture does not say %q", word)
		}
	}
	d := xml.NewDecoder(&b)
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
