package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reuna/reuna/benchmarks/drive"
	"github.com/reuna/reuna/benchmarks/drive/drivetest"
	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/benchmarks/serve"
	"github.com/reuna/reuna/gateway/config"
)

// The test binary is also the servers that the benchmark starts.
const fakeGateway = "fake-gateway"

func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == fakeGateway {
		os.Exit(serveFake(os.Args[2], os.Args[3:]))
	}
	if len(os.Args) > 1 && os.Args[1] == bareCommand {
		os.Exit(runBare(os.Args[2:]))
	}
	os.Exit(m.Run())
}

// serveFake behaves like a gateway's process. Its manner says how it fails.
func serveFake(manner string, args []string) int {
	f := flag.NewFlagSet(fakeGateway, flag.ContinueOnError)
	configFile, data := f.String("config", "", ""), f.String("data", "", "")
	f.String("site-addr", "", "")
	f.String("desk-addr", "", "")
	if err := f.Parse(args); err != nil {
		return 2
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	if manner == "dies" {
		fmt.Fprintln(os.Stderr, "no room for a gateway here")
		return 3
	}
	if text, err := os.ReadFile(*configFile); err != nil || !strings.Contains(string(text), writeKey) {
		fmt.Fprintln(os.Stderr, "no config", err)
		return 2
	}
	s := &drivetest.Server{WriteKey: writeKey}
	if manner == "forgets" {
		s.Forget = 50
	}
	s.Start()
	desk := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+os.Getenv("REUNA_ADMIN_KEY") || r.URL.Path != "/debug/pprof/profile" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		<-time.After(100 * time.Millisecond)
		fmt.Fprint(w, "profile")
	}))
	if err := os.MkdirAll(*data, 0o700); err != nil {
		return 2
	}
	run, err := json.Marshal(map[string]any{"site": s.URL(), "desk": desk.URL, "pid": os.Getpid()})
	if err == nil {
		err = os.WriteFile(filepath.Join(*data, "run.json"), run, 0o600)
	}
	if err != nil {
		return 2
	}
	<-terminated
	// The events are "stored" at the end, 100 bytes each.
	if err := os.WriteFile(filepath.Join(*data, "log"), make([]byte, 100*len(s.Events())), 0o600); err != nil {
		return 2
	}
	for _, fault := range s.Faults() {
		fmt.Fprintln(os.Stderr, fault)
		return 4
	}
	return 0
}

func fakeBench(t *testing.T, manner string) *bench {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &bench{
		settings: settings{rounds: 2, round: 200 * time.Millisecond, connections: 4, visitors: 100, seed: 3},
		self:     []string{self}, gateway: []string{self, fakeGateway, manner}, dir: t.TempDir(), log: new(bytes.Buffer),
	}
}

func TestAWholeRun(t *testing.T) {
	b := fakeBench(t, "works")
	b.pprof = filepath.Join(t.TempDir(), "cpu.prof")
	r, err := b.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Cost) != 3 {
		t.Fatalf("%d costs: expected 3", len(r.Cost))
	}
	for _, c := range r.Cost {
		for name, s := range map[string]measure.Spread{"gateway CPU": c.GatewayMicros, "gateway rate": c.GatewayRate, "bare rate": c.BareRate, "ratio": c.Ratio} {
			if s.Min <= 0 || s.Median < s.Min || s.Max < s.Median {
				t.Errorf("%s, %s: %+v", c.Name, name, s)
			}
		}
	}
	if l := r.Latency; l.Rate <= 0 || l.Gateway.P50.Median <= 0 || l.Gateway.P999.Median < l.Gateway.P50.Median || l.Bare.P50.Median <= 0 {
		t.Errorf("latency %+v", l)
	}
	// All that was acknowledged is in the folder, 100 bytes each, besides run.json.
	if d := r.Disk; d.Events == 0 || d.Length < 99.9 || d.Length > 100.1 {
		t.Errorf("disk %+v: expected 100 bytes an event", d)
	}
	if r.Memory.Idle == 0 || r.Memory.Peak < r.Memory.Loaded || r.AnswerBytes < 100 {
		t.Errorf("memory %+v, answers of %d bytes", r.Memory, r.AnswerBytes)
	}
	if p, err := os.ReadFile(b.pprof); err != nil || string(p) != "profile" {
		t.Errorf("profile %q, %v", p, err)
	}
	for _, line := range []string{"warming up", "interact, round 2 of 2", "latency at"} {
		if !strings.Contains(b.log.(*bytes.Buffer).String(), line) {
			t.Errorf("the log lacks %q", line)
		}
	}
}

func TestCostIsTakenPairByPair(t *testing.T) {
	round := func(requests int64, cpu time.Duration) serve.Sample {
		return serve.Sample{Result: drive.Result{Requests: requests, Elapsed: 2 * time.Second}, CPU: cpu}
	}
	c := newCost("x", 20, []pair{
		{round(1000, 400*time.Millisecond), round(10_000, 100*time.Millisecond)}, // 400/20 = 20 µs to 10 µs
		{round(1000, 600*time.Millisecond), round(10_000, 300*time.Millisecond)}, // 30 to 30
		{round(2000, 400*time.Millisecond), round(10_000, 200*time.Millisecond)}, // 10 to 20
	})
	want := Cost{"x", measure.Spread{Min: 10, Median: 20, Max: 30}, measure.Spread{Min: 10, Median: 20, Max: 30}, measure.Spread{Min: 0.5, Median: 1, Max: 2},
		measure.Spread{Min: 500, Median: 500, Max: 1000}, measure.Spread{Min: 5000, Median: 5000, Max: 5000}}
	if c != want {
		t.Errorf("%+v\nexpected\n%+v", c, want)
	}
}

func TestAWrongAnswerFailsTheRun(t *testing.T) {
	if _, err := fakeBench(t, "forgets").run(t.Context()); err == nil || !strings.Contains(err.Error(), "wrong answer") {
		t.Errorf("error %v: expected one about a wrong answer", err)
	}
}

func TestAGatewayThatDoesNotStartIsQuoted(t *testing.T) {
	if _, err := fakeBench(t, "dies").run(t.Context()); err == nil || !strings.Contains(err.Error(), "no room for a gateway here") {
		t.Errorf("error %v: expected the gateway's own words", err)
	}
}

func TestGatewayConfigIsValid(t *testing.T) {
	c, err := config.Parse("gateway.yaml", []byte(gatewayConfig))
	if err != nil {
		t.Fatal(err)
	}
	if c.Sites[0].WriteKey != writeKey || c.Placements[0].Name != placement || c.Limits.RequestsPerSecondPerKey != 0 || c.Demo {
		t.Errorf("%+v", c)
	}
}

func TestCookieLike(t *testing.T) {
	if got := cookieLike("reuna=abc.def"); got != "reuna=xxxxxxx" {
		t.Error(got)
	}
}

func TestFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"-rounds is 0":          {"-rounds", "0"},
		"-round-duration is 1":  {"-round-duration", "1ms"},
		"-connections is 0":     {"-connections", "0"},
		"unexpected argument":   {"fast"},
		"give one of them":      {"-tag", "-enrich"},
		"give -backfill too":    {"-persons", "5000"},
		"-persons is 5":         {"-backfill", "-persons", "5"},
		"-rate is 0":            {"-backfill", "-rate", "0"},
		"give -audiences too":   {"-definitions", "x"},
		"give -enrich too":      {"-enrich-failures", "3"},
		"give -growth too":      {"-sizes", "1000"},
		"each larger than":      {"-growth", "-sizes", "20000,10000"},
		"-sizes begins with 20": {"-growth", "-sizes", "20"},
		"for 300 connections":   {"-growth", "-sizes", "2000", "-connections", "300"},
		"-enrich-failures is":   {"-enrich", "-enrich-failures", "-1"},
	} {
		if _, err := parse(args, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, expected %q", args, err, want)
		}
	}
	if o, err := parse([]string{"-quick", "-rounds", "3"}, new(bytes.Buffer)); err != nil || o.rounds != 3 || o.round != time.Second || o.out != "" {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestReportIsKeptAndCompared(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	if r, err := loadReport(dir); r != nil || err != nil {
		t.Fatalf("%v, %v: expected nothing and no error", r, err)
	}
	r := example()
	if err := r.save(dir); err != nil {
		t.Fatal(err)
	}
	before, err := loadReport(dir)
	if err != nil {
		t.Fatal(err)
	}
	r.Cost[0].Ratio.Median *= 1.1
	var out bytes.Buffer
	r.table(&out, before)
	for _, want := range []string{"≤ 2.5 ✗", "+10.0 %", "+0.0 %", "latency p99.9, gateway, ms"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "other conditions") {
		t.Error("the conditions are the same")
	}
	if strings.Contains(out.String(), "Other programs") {
		t.Error("nobody else was at work")
	}
	before.Settings.Visitors++
	r.Foreign = 31
	out.Reset()
	if r.table(&out, before); !strings.Contains(out.String(), "other conditions") {
		t.Error("other conditions went unmentioned")
	}
	if !strings.Contains(out.String(), "Other programs took 31 %") {
		t.Error("a busy machine went unmentioned")
	}
	if err := os.WriteFile(filepath.Join(dir, resultFile), []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadReport(dir); err == nil {
		t.Error("a broken report was read")
	}
}

// example is a report with figures of a likely size.
func example() *Report {
	s := func(v float64) measure.Spread { return measure.Spread{Min: v * 0.95, Median: v, Max: v * 1.1} }
	return &Report{
		Environment: measure.Environment{Cores: 2, CPU: "Some CPU", Kernel: "6.1", OS: "linux/amd64", Go: "go1.26", Disk: "ext4"},
		Settings:    Settings{Rounds: 5, RoundSeconds: 4, Connections: 64, Visitors: 10000, Seed: 1}, AnswerBytes: 1043,
		Cost: []Cost{
			{costInteract, s(32), s(11.6), s(2.76), s(28000), s(84000)},
			{costBatch, s(8.1), s(11.6), s(0.7), s(7000), s(84000)},
			{costProfile, s(13.4), s(10.9), s(1.23), s(70000), s(90000)},
		},
		Latency: Latency{Rate: 14000, Gateway: Percentiles{s(0.41), s(1.7), s(6.1), s(0.1)}, Bare: Percentiles{s(0.09), s(0.4), s(1.2), s(0.1)}},
		Disk:    DiskUse{Events: 1e6, Length: 120, Occupied: 150, Written: 310},
		Memory:  MemoryUse{Idle: 41e6, Loaded: 180e6, Peak: 190e6},
	}
}
