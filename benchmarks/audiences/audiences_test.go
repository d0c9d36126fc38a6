package audiences

import (
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/benchmarks/drive"
	"github.com/reuna/reuna/benchmarks/serve"
	"github.com/reuna/reuna/benchmarks/workload"
	"github.com/reuna/reuna/gateway/app"
	"github.com/reuna/reuna/gateway/config"
)

// The gateway takes the shop's definitions, and there are as many as is said.
func TestTheShopsDefinitionsAreGood(t *testing.T) {
	for name, text := range map[string]string{"shop": site + shop, "nothing": site + "builtins: false\n" + nothing} {
		c, err := config.Parse(name+".yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := app.CheckDefinitions(c); err != nil {
			t.Errorf("%s:\n%v", name, err)
		}
		if name == "shop" && (len(c.Traits) != 50 || len(c.Segments) != 100) {
			t.Errorf("%d traits and %d audiences: expected 50 and 100", len(c.Traits), len(c.Segments))
		}
	}
	if got, err := count(shop); err != nil || got != (Definitions{50, 100, 1}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// Every event that the shop's definitions speak of is one that visitors send, and
// quiet visitors send none of them but their first page view.
func TestTheShopAsksForWhatVisitorsSend(t *testing.T) {
	sent := func(quiet bool) string {
		w, err := workload.New(workload.Options{Visitors: 50, Seed: 1, Origin: "https://shop.example", WriteKey: writeKey, Quiet: quiet, Now: time.Now})
		if err != nil {
			t.Fatal(err)
		}
		var all strings.Builder
		for i := range 2000 {
			request := w.Streams()[0].Next(workload.Shape{Format: workload.Interact, Batch: 1})
			if !quiet || i >= 50 {
				all.Write(request.Body)
			}
		}
		return all.String()
	}
	c, err := config.Parse("shop.yaml", []byte(site+shop))
	if err != nil {
		t.Fatal(err)
	}
	shops, quiets := sent(false), sent(true)
	for _, d := range c.Traits {
		names := append([]string{d.Event}, d.Events...)
		for _, s := range d.Steps {
			names = append(names, s.Event)
		}
		for _, name := range names {
			if name == "" {
				continue
			}
			mark := `"event":"` + name + `"`
			if name == "page" {
				mark = `"type":"page"`
			}
			if !strings.Contains(shops, mark) {
				t.Errorf("%s asks for %q, which nobody sends", d.Name, name)
			}
			if strings.Contains(quiets, mark) {
				t.Errorf("%s asks for %q, which quiet visitors send", d.Name, name)
			}
		}
	}
}

func TestCostIsTheMeanOfTheRounds(t *testing.T) {
	round := func(requests int64, cpu time.Duration) serve.Sample {
		return serve.Sample{Result: drive.Result{Requests: requests, Elapsed: time.Second}, CPU: cpu}
	}
	c := newCost("x", 2, 25, []pair{
		{round(1000, 200*time.Millisecond), round(1000, 220*time.Millisecond)}, // 100 to 110 µs an event
		{round(1000, 400*time.Millisecond), round(500, 240*time.Millisecond)},  // 200 to 240
		{round(1000, 100*time.Millisecond), round(1000, 160*time.Millisecond)}, // 50 to 80
	})
	near := func(got, want float64) bool { return got > want-1e-6 && got < want+1e-6 }
	if !near(c.Mean.None, 350./3) || !near(c.Mean.All, 430./3) || !near(c.Mean.More, 100*(430./350-1)) || !near(c.None.Median, 100) || !near(c.All.Median, 110) || !near(c.More.Min, 10) || !near(c.More.Median, 20) || !near(c.More.Max, 60) || !near(c.Rates.None.Median, 2000) {
		t.Errorf("%+v", c)
	}
	r := &Report{Costs: []Cost{c, {Name: "y", Bar: 3}, {Name: "z"}}}
	if err := r.Missed(); err != nil {
		t.Errorf("the bar is held: %v", err)
	}
	r.Costs[1].Mean.More = 3.1
	if err := r.Missed(); err == nil || !strings.Contains(err.Error(), "y cost 3.1 % more") {
		t.Errorf("error %v: expected one about y", err)
	}
	var table strings.Builder
	if err := r.Table(&table); err != nil || !strings.Contains(table.String(), "≤ 25 % ✓") || !strings.Contains(table.String(), "≤ 3 % ✗") {
		t.Errorf("%v\n%s", err, &table)
	}
	if err := r.Save(t.TempDir()); err != nil {
		t.Error(err)
	}
}
