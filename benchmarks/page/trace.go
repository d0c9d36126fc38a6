package page

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
)

// event is one of Chromium's trace events, as far as it is looked at. Times are
// in microseconds; TDur is the thread's own processor time, and counts what the
// throttle adds, because that runs on the thread.
type event struct {
	Name     string
	Ph       string
	TS       float64
	Dur      float64
	TDur     float64
	PID, TID int
	Args     struct {
		Data struct {
			Type string
			URL  string
		}
		BeginData struct {
			URL string
		}
	}
}

func (e *event) end() float64 { return e.TS + e.Dur }

// what names a script event for people.
func (e *event) what() string {
	if data := e.Args.Data; e.Name == "EvaluateScript" {
		return "evaluating " + path.Base(data.URL)
	}
	return e.Name
}

// categories are those that hold the events named below.
var categories = []string{"-*", "devtools.timeline", "disabled-by-default-devtools.timeline", "v8", "v8.execute"}

// taskEvent is one task of a thread.
const taskEvent = "RunTask"

// scriptEvents are all ways in which scripts take time: compiling, running, and
// being called from timers, events, promises and the network.
var scriptEvents = []string{"EvaluateScript", "v8.compile", "v8.compileModule", "v8.evaluateModule", "v8.run", "v8.callFunction", "FunctionCall", "RunMicrotasks"}

// pressEvents are what one press of the mouse dispatches to a page.
var pressEvents = []string{"pointerdown", "mousedown", "pointerup", "mouseup", "click"}

// Visit is what scripts have taken in one visit, in milliseconds of processor
// time of the page's main thread; the fields ending in Clock are by the clock.
type Visit struct {
	Script       float64 `json:"script"` // until the first press
	ScriptClock  float64 `json:"scriptClock"`
	Longest      float64 `json:"longest"` // the longest task in which a script ran, until the first press
	LongestClock float64 `json:"longestClock"`
	LongestIs    string  `json:"longestIs"`  // the first script in it
	FirstClick   float64 `json:"firstClick"` // dispatching the events of the first press, whose code is not compiled yet
	Click        float64 `json:"click"`      // of the others; the median
	Requests     int     `json:"requests"`   // to the gateway's API while the page is looked at
	Leaving      int     `json:"leaving"`    // and those after the presses and when it is left
}

// read finds the figures in a trace of the page at url.
func read(raw []json.RawMessage, url string) (v Visit, err error) {
	var all []event
	for _, text := range raw {
		var e event
		// Some events use the names for other types; none of those that are looked at does.
		if json.Unmarshal(text, &e) == nil && e.Ph == "X" {
			all = append(all, e)
		}
	}
	at := slices.IndexFunc(all, func(e event) bool { return e.Name == "ParseHTML" && strings.HasPrefix(e.Args.BeginData.URL, url) })
	if at < 0 {
		return v, fmt.Errorf("the trace has %d events and none of them parses %s", len(all), url)
	}
	page := all[at]
	all = slices.DeleteFunc(all, func(e event) bool { return e.PID != page.PID || e.TID != page.TID })
	// What begins at one moment: the outer event first.
	slices.SortStableFunc(all, func(a, b event) int { return cmp.Or(cmp.Compare(a.TS, b.TS), cmp.Compare(b.Dur, a.Dur)) })

	var task, script event // the ones that run
	var presses []float64
	pressed := false
	for _, e := range all {
		switch {
		case e.Name == taskEvent:
			task = e
		case e.Name == "EventDispatch" && slices.Contains(pressEvents, e.Args.Data.Type):
			if !pressed {
				presses = append(presses, 0)
			}
			presses[len(presses)-1] += e.TDur / 1000
			pressed = e.Args.Data.Type != "click" // which ends it
		case len(presses) == 0 && slices.Contains(scriptEvents, e.Name):
			if e.TS >= script.end() { // else it is a part of one that is counted
				script = e
				v.Script += e.TDur / 1000
				v.ScriptClock += e.Dur / 1000
			}
			if e.TS < task.end() && task.TDur/1000 > v.Longest {
				v.Longest, v.LongestClock = task.TDur/1000, task.Dur/1000
				v.LongestIs = e.what()
			}
		}
	}
	if len(presses) != clicks {
		return v, fmt.Errorf("the trace has %d presses, and %d were made", len(presses), clicks)
	}
	v.FirstClick = presses[0]
	v.Click = middle(presses[1:])
	return v, nil
}

func middle(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
