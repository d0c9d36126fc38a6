// Package naive evaluates computed traits over a plain list of events, straight
// from the words that describe each kind (trait.Count and so on): slowly, with
// nothing kept and nothing shared with the series that the gateway keeps. Tests
// hold those against it.
package naive

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/cel-go/cel"

	"github.com/reuna/reuna/identity/event"
	"github.com/reuna/reuna/identity/trait"
)

// Evaluate gives the JSON text of the trait that d defines, of a person with these
// events, each of them once, as of now (ms since 1970 UTC, no earlier than any
// event); "" where the trait is not known. d is one that trait.Compile takes. It
// panics on a condition that does not compile.
func Evaluate(d *trait.Definition, events []*event.Event, now int64) event.Value {
	return new(Evaluator).Evaluate(d, events, now)
}

// Evaluator is Evaluate for many: it compiles each condition once. It is for one
// goroutine.
type Evaluator struct {
	env      *cel.Env
	programs map[string]cel.Program
}

// Evaluate is the function of that name.
func (v *Evaluator) Evaluate(d *trait.Definition, events []*event.Event, now int64) event.Value {
	p := person{Evaluator: v, d: d, now: now, window: d.Window.Milliseconds(), all: slices.Clone(events)}
	slices.SortFunc(p.all, func(a, b *event.Event) int {
		return cmp.Or(cmp.Compare(a.Timestamp, b.Timestamp), cmp.Compare(tie(a), tie(b)))
	})
	for _, e := range p.all {
		if p.site(e) && (d.Event == "" && len(d.Events) == 0 || name(e) == d.Event || slices.Contains(d.Events, name(e))) && p.holds(d.Where, e) {
			p.events = append(p.events, e)
		}
	}
	switch d.Kind {
	case trait.Count:
		return encode(len(p.window128(p.ones())))
	case trait.Sum, trait.Average, trait.Min, trait.Max:
		return p.amount()
	case trait.First, trait.Last:
		return p.end()
	case trait.Unique:
		return encode(len(p.lastMet()))
	case trait.Distinct:
		return p.distinct()
	case trait.MostFrequent:
		return p.frequent()
	case trait.Latest:
		return p.latest()
	case trait.TimeSince:
		return p.since()
	case trait.Affinity, trait.BestHour:
		return p.favourite()
	case trait.RFM:
		return p.rfm()
	case trait.DaysActive:
		return p.days()
	case trait.Streak:
		return p.streak()
	case trait.Sequence:
		return encode(p.sequence())
	}
	panic("naive: no kind " + d.Kind)
}

type person struct {
	*Evaluator
	d      *trait.Definition
	now    int64
	window int64
	all    []*event.Event // by time, then message
	events []*event.Event // those that matter
}

func (p *person) site(e *event.Event) bool { return p.d.Site == "" || p.d.Site == e.Site }

func tie(e *event.Event) uint64 {
	h := fnv.New64a()
	h.Write([]byte(e.MessageID))
	return h.Sum64()
}

func name(e *event.Event) string {
	if e.Type == event.Track {
		return e.Name
	}
	return e.Type.String()
}

// holds evaluates a condition with CEL itself over the event's JSON.
func (v *Evaluator) holds(where string, e *event.Event) bool {
	if where == "" {
		return true
	}
	vars := map[string]any{"event": e.Name, "type": e.Type.String(), "time": time.UnixMilli(e.Timestamp).UTC(), "properties": map[string]any{}, "context": map[string]any{}}
	for _, key := range []string{"properties", "context"} {
		if m, ok := event.Value(e.AppendJSON(nil)).Get(key).Any().(map[string]any); ok {
			vars[key] = m
		}
	}
	got, _, err := v.program(where).Eval(vars)
	return err == nil && got.Value() == true
}

func (v *Evaluator) program(where string) cel.Program {
	if p := v.programs[where]; p != nil {
		return p
	}
	object := cel.MapType(cel.StringType, cel.DynType)
	if v.env == nil {
		env, err := cel.NewEnv(cel.OptionalTypes(), cel.CrossTypeNumericComparisons(true), cel.Variable("event", cel.StringType), cel.Variable("type", cel.StringType),
			cel.Variable("properties", object), cel.Variable("context", object), cel.Variable("time", cel.TimestampType))
		if err != nil {
			panic(err)
		}
		v.env, v.programs = env, map[string]cel.Program{}
	}
	tree, issues := v.env.Compile(where)
	if issues.Err() != nil {
		panic(fmt.Sprintf("naive: %s: %v", where, issues.Err()))
	}
	p, err := v.env.Program(tree)
	if err != nil {
		panic(err)
	}
	v.programs[where] = p
	return p
}

// values are those that stand at a path, the first 64 items where it ends in a
// list or goes through one.
func values(path string, e *event.Event) (list []event.Value) {
	path, below, through := strings.Cut(path, "[]")
	v := event.Value(e.AppendJSON(nil)).Get(strings.Split(path, ".")...)
	if v.Kind() != event.Array {
		if !through && v != "" {
			list = append(list, v)
		}
		return list
	}
	n := 0
	v.Items(func(m event.Value) bool {
		if n++; n > 64 {
			return false
		}
		if below != "" {
			m = m.Get(strings.Split(below[1:], ".")...)
		}
		list = append(list, m)
		return true
	})
	return list
}

// key is the text that a value goes by.
func key(v event.Value) (string, bool) {
	s := ""
	switch v.Kind() {
	case event.String:
		s = strings.TrimSpace(v.Text())
	case event.Number, event.Bool:
		s = string(v)
	}
	return s, s != "" && len(s) <= 256
}

func keys(path string, e *event.Event) (list []string) {
	for _, v := range values(path, e) {
		if k, ok := key(v); ok {
			list = append(list, k)
		}
	}
	return list
}

// micros is an amount in millionths.
func micros(v event.Value) (int64, bool) {
	s := string(v)
	if v.Kind() == event.String {
		s = v.Text()
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > 1e12 {
		return 0, false
	}
	return int64(math.Round(f * 1e6)), true
}

func encode(v any) event.Value {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return event.Value(b)
}

// number writes millionths without needless noughts.
func number(micros int64) event.Value {
	s := fmt.Sprintf("%d.%06d", micros/1e6, max(micros%1e6, -(micros%1e6)))
	if micros < 0 && micros > -1e6 {
		s = "-" + s
	}
	return event.Value(strings.TrimSuffix(strings.TrimRight(s, "0"), "."))
}

// happening is something at a moment that counts for a key.
type happening struct {
	at     int64 // ms
	key    string
	micros int64
}

func (p *person) ones() (list []happening) {
	for _, e := range p.events {
		list = append(list, happening{at: e.Timestamp})
	}
	return list
}

func (p *person) amounts() (list []happening) {
	for _, e := range p.events {
		for _, v := range values(p.d.Value, e) {
			if n, ok := micros(v); ok {
				list = append(list, happening{at: e.Timestamp, micros: n})
			}
		}
	}
	return list
}

// window128 leaves what counts in the window: the newest 128 different seconds (of
// each key its own) as they are, what lies further back as if it had happened at
// the beginning of its bucket, a 96th of the window wide.
func (p *person) window128(list []happening) (in []happening) {
	if p.window == 0 {
		return list
	}
	type second struct {
		at  int64
		key string
	}
	var seconds []second
	for _, h := range list {
		seconds = append(seconds, second{h.at / 1000, h.key})
	}
	slices.SortFunc(seconds, func(a, b second) int { return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.key, a.key)) })
	seconds = slices.Compact(seconds)
	exact := map[second]bool{}
	for _, s := range seconds[:min(128, len(seconds))] {
		exact[s] = true
	}
	width := max(1000, (p.window+95)/96)
	for _, h := range list {
		at := h.at / 1000 * 1000
		if !exact[second{h.at / 1000, h.key}] {
			at = at / width * width
		}
		if at > p.now-p.window && at <= p.now {
			in = append(in, h)
		}
	}
	return in
}

func (p *person) amount() event.Value {
	list := p.window128(p.amounts())
	if len(list) == 0 {
		if p.d.Kind == trait.Sum {
			return "0"
		}
		return ""
	}
	sum, least, most := int64(0), list[0].micros, list[0].micros
	for _, h := range list {
		sum += h.micros
		least, most = min(least, h.micros), max(most, h.micros)
	}
	switch p.d.Kind {
	case trait.Sum:
		return number(sum)
	case trait.Min:
		return number(least)
	case trait.Max:
		return number(most)
	}
	n := int64(len(list))
	half := sum*2/n - sum/n*2 // the first digit after the point, in halves
	return number(sum/n + half)
}

func (p *person) inWindow(ms int64) bool {
	at := ms / 1000 * 1000
	return p.window == 0 || at > p.now-p.window && at <= p.now
}

// valued are the values of the events, the earliest first.
func (p *person) valued() (list []string) {
	for _, e := range p.events {
		for _, v := range values(p.d.Value, e) {
			k, ok := key(v)
			if ok && v.Kind() == event.String {
				k = string(event.Quote(k))
			}
			if ok && p.inWindow(e.Timestamp) {
				list = append(list, k)
			}
		}
	}
	return list
}

func (p *person) end() event.Value {
	list := p.valued()
	switch {
	case len(list) == 0:
		return ""
	case p.d.Kind == trait.First:
		return event.Value(list[0])
	}
	return event.Value(list[len(list)-1])
}

func (p *person) latest() event.Value {
	list := p.valued()
	slices.Reverse(list)
	return event.Value("[" + strings.Join(list[:min(len(list), cmp.Or(p.d.Limit, 10))], ",") + "]")
}

// lastMet are the keys in the window, the one met last first, of the 256 that were
// met last.
func (p *person) lastMet() (list []happening) {
	last := map[string]int64{}
	for _, e := range p.events {
		for _, k := range keys(p.d.By, e) {
			last[k] = e.Timestamp
		}
	}
	for k, at := range last {
		list = append(list, happening{at: at, key: k})
	}
	slices.SortFunc(list, func(a, b happening) int { return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(a.key, b.key)) })
	list = list[:min(256, len(list))]
	return slices.DeleteFunc(list, func(h happening) bool { return !p.inWindow(h.at) })
}

func quoted(list []string) event.Value {
	for i, s := range list {
		list[i] = string(event.Quote(s))
	}
	return event.Value("[" + strings.Join(list, ",") + "]")
}

func (p *person) distinct() event.Value {
	var list []string
	for _, h := range p.lastMet() {
		list = append(list, h.key)
	}
	return quoted(list[:min(len(list), cmp.Or(p.d.Limit, 100))])
}

func (p *person) frequent() event.Value {
	var list []happening
	for _, e := range p.events {
		for _, k := range keys(p.d.By, e) {
			list = append(list, happening{at: e.Timestamp, key: k})
		}
	}
	count := map[string]int{}
	for _, h := range p.window128(list) {
		count[h.key]++
	}
	var best []string
	for k, n := range count {
		if n >= p.d.AtLeast {
			best = append(best, k)
		}
	}
	slices.SortFunc(best, func(a, b string) int { return cmp.Or(cmp.Compare(count[b], count[a]), cmp.Compare(a, b)) })
	if p.d.Limit > 1 {
		return quoted(best[:min(len(best), p.d.Limit)])
	}
	if len(best) == 0 {
		return ""
	}
	return event.Quote(best[0])
}

func (p *person) since() event.Value {
	if len(p.events) == 0 {
		return ""
	}
	unit := map[string]int64{"": 1000, "second": 1000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}[p.d.Unit]
	return encode((p.now - p.events[len(p.events)-1].Timestamp) / unit)
}

func (p *person) rfm() event.Value {
	list := p.window128(p.amounts())
	if len(list) == 0 {
		return ""
	}
	recency, frequency, monetary := p.d.Recency, p.d.Frequency, p.d.Monetary
	if len(recency) == 0 {
		const day = 24 * time.Hour
		recency = []time.Duration{7 * day, 30 * day, 90 * day, 180 * day}
	}
	if len(frequency) == 0 {
		frequency = []int{10, 5, 3, 2}
	}
	if len(monetary) == 0 {
		monetary = []float64{1000, 500, 200, 50}
	}
	sum := int64(0)
	for _, h := range list {
		sum += h.micros
	}
	age := time.Duration(p.now-list[len(list)-1].at) * time.Millisecond
	r, f, m := 1, 1, 1
	for i := 3; i >= 0; i-- {
		if age < recency[i] {
			r = 5 - i
		}
		if len(list) >= frequency[i] {
			f = 5 - i
		}
		if float64(sum)/1e6 >= monetary[i] {
			m = 5 - i
		}
	}
	return event.Value(fmt.Sprintf(`{"recency":%d,"frequency":%d,"monetary":%d,"score":"%d%d%d"}`, r, f, m, r, f, m))
}
