package page

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reuna/reuna/benchmarks/measure"
)

// trace is made of lines "name ts dur tdur [type or url]", all of the page's
// thread but those that begin with '!'.
func trace(lines ...string) (raw []json.RawMessage) {
	for _, line := range lines {
		e := map[string]any{"ph": "X", "pid": 1, "tid": 1}
		if strings.HasPrefix(line, "!") {
			e["tid"] = 2
		}
		f := append(strings.Fields(strings.TrimPrefix(line, "!")), "")
		e["name"], e["ts"], e["dur"], e["tdur"] = f[0], json.Number(f[1]), json.Number(f[2]), json.Number(f[3])
		switch f[0] {
		case "ParseHTML":
			e["args"] = map[string]any{"beginData": map[string]any{"url": f[4]}}
		default:
			e["args"] = map[string]any{"data": map[string]any{"type": f[4], "url": f[4]}}
		}
		text, err := json.Marshal(e)
		if err != nil {
			panic(err)
		}
		raw = append(raw, text)
	}
	return append(raw, json.RawMessage(`{"ph":"M","name":"thread_name","args":"odd"}`))
}

func TestRead(t *testing.T) {
	lines := []string{
		"ParseHTML 1000 10 10 http://site/",
		"RunTask 990 20000 18000",
		"EvaluateScript 2000 8000 7000 http://site/tag.js",
		"v8.run 3000 6000 5000",         // a part of it
		"FunctionCall 11000 2000 1500",  // another in the same task
		"!FunctionCall 12000 9000 9000", // another thread's
		"RunTask 30000 40000 3000",      // long by the clock alone
		"RunMicrotasks 30000 1000 500",
		"RunTask 80000 90000 90000", // no script in it
	}
	for i := range clicks {
		kinds := []string{"mousedown 1000 1000", "mouseup 1000 1000", "click 1000 1000"}
		if i == 0 { // with pointer events, and slower
			kinds = []string{"pointerdown 1000 1000", "mousedown 1000 1000", "pointerup 1000 1000", "mouseup 1000 1000", "click 5000 4000"}
		}
		for j, k := range kinds {
			f := strings.Fields(k)
			lines = append(lines, fmt.Sprintf("EventDispatch %d %s %s %s", 200000+100000*i+10000*j, f[1], f[2], f[0]))
		}
	}
	lines = append(lines, "RunTask 900000 90000 90000", "FunctionCall 900001 80000 80000") // after the presses
	v, err := read(trace(lines...), "http://site")
	if err != nil {
		t.Fatal(err)
	}
	want := Visit{Script: 9, ScriptClock: 11, Longest: 18, LongestClock: 20, LongestIs: "evaluating tag.js", FirstClick: 8, Click: 3}
	if v != want {
		t.Errorf("read %+v, want %+v", v, want)
	}
	if _, err := read(trace(lines...), "http://other"); err == nil || !strings.Contains(err.Error(), "http://other") {
		t.Errorf("a trace of another page: %v", err)
	}
	if _, err := read(trace(lines[:12]...), "http://site"); err == nil || !strings.Contains(err.Error(), "presses") {
		t.Errorf("a trace that ends too soon: %v", err)
	}
}

func TestReport(t *testing.T) {
	visit := Visit{Script: 50, Longest: 51, FirstClick: 3, Click: 2, Requests: 1, Leaving: 1}
	b := builds()[1]
	r := &Report{Browser: "Chrome/1", Throttle: throttle, Rounds: 1, Costs: []Cost{newCost(b, Bytes{Raw: 9000, Gzip: 4000, Brotli: 3500}, []Visit{visit}, []Visit{{Script: 1}})}}
	if err := r.Over(); err == nil || err.Error() != "pages and clicks only: longest task is 51.0 ms, the budget is 50" {
		t.Errorf("over the budgets: %v", err)
	}
	dir := t.TempDir()
	if err := r.Save(dir); err != nil {
		t.Fatal(err)
	}
	var again Report
	text, err := os.ReadFile(filepath.Join(dir, "tag.json"))
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if err != nil || again.Costs[0].Script != measure.Of([]float64{49}) {
		t.Errorf("tag.json: %v, %s", err, text)
	}
	if text, err = os.ReadFile(filepath.Join(dir, "tag.md")); err != nil || !strings.Contains(string(text), "| longest task, ms | ≤ 50 | 51.0 ✗ |") || !strings.Contains(string(text), "3500 of 3584 ✓") {
		t.Errorf("tag.md: %v, %s", err, text)
	}
	if text, err = os.ReadFile(filepath.Join(dir, "tag.svg")); err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(bytes.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("tag.svg: %v", err)
		}
	}
	r.Costs[0].Longest = measure.Spread{}
	if err := r.Over(); err != nil {
		t.Errorf("within the budgets: %v", err)
	}
}

// What is measured is a real page: it sends its view, its scripts take time,
// and the blank page's take none.
func TestVisit(t *testing.T) {
	start, stop, err := launch(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	all := builds()
	v, err := visit(start, &all[2])
	if err != nil {
		t.Fatal(err)
	}
	if v.Requests < 1 || v.Leaving < 1 || v.Script <= 0 || v.Longest <= 0 || v.Longest > v.LongestClock*1.1 || v.FirstClick <= 0 {
		t.Errorf("the standard tag: %+v", v)
	}
	blank, err := visit(start, nil)
	if err != nil {
		t.Fatal(err)
	}
	if blank.Requests != 0 || blank.Leaving != 0 || blank.Script > v.Script/5 {
		t.Errorf("the blank page: %+v", blank)
	}
}
