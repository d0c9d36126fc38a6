package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

// maker makes random values of any shape that a definition has.
type maker struct{ *rand.Rand }

// pieces are what texts are made of: words, and all that YAML or JSON could take
// for something else.
var pieces = []string{
	"a", "Order Completed", "properties.category == 'thrillers'", `"`, "'", "''", `\`, `\n`, "\n", "\n\n", "  ", " ", "\t", "#", " # ", "- ", "-", ": ", ":", "? ",
	"{", "}", "[", "]", ",", "&", "*", "!", "|", ">", "%", "@", "`", "true", "null", "~", "1", "0x1f", "1e3", "1.5", "30d", "10%", "é", "日本", "😀", "\u00a0", "\u2028", "\u200b", "\ufeff", "\x00", "\x07", "\x7f", "---", "...", "\r", "\r\n", "<<", "=",
}

func (m maker) text() string {
	var b strings.Builder
	for range 1 + m.IntN(6) {
		b.WriteString(pieces[m.IntN(len(pieces))])
	}
	return b.String()
}

func (m maker) fill(v reflect.Value, always bool) {
	if !always && m.IntN(3) == 0 {
		return
	}
	switch p := v.Addr().Interface().(type) {
	case *time.Duration:
		*p = []time.Duration{time.Millisecond, time.Second, time.Minute, time.Hour, day, 7 * day, month}[m.IntN(7)] * time.Duration(m.IntN(400))
		return
	case *Share:
		*p, _ = ParseShare(fmt.Sprint(m.IntN(101)) + "%")
		if m.IntN(2) == 0 {
			*p, _ = ParseShare(fmt.Sprintf("%.*f%%", m.IntN(6), m.Float64()*100))
		}
		return
	case *time.Time:
		*p = time.UnixMilli(1.6e12 + m.Int64N(1e12)).UTC()
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		m.fill(v.Elem(), true)
	case reflect.Struct:
		for i := range v.NumField() {
			m.fill(v.Field(i), false)
		}
	case reflect.Slice:
		n := 1 + m.IntN(3)
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			m.fill(v.Index(i), true)
		}
	case reflect.String:
		v.SetString(m.text())
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(m.Int64N(2000) - 1000)
	case reflect.Float64:
		v.SetFloat([]float64{0.5, 3, 1e9, 0.001, -2.25, m.Float64()}[m.IntN(6)])
	}
}

func (m maker) name(i int) string { return fmt.Sprintf("d%d", i) }

// definitions are random ones that a file may hold.
func (m maker) definitions() *Definitions {
	d := &Definitions{}
	m.fill(reflect.ValueOf(d).Elem(), true)
	for i := range d.Traits {
		t := &d.Traits[i]
		t.Name, t.Site = m.name(i), ""
		if t.Event != "" {
			t.Events = nil
		}
		t.settle()
	}
	for i := range d.Segments {
		s := &d.Segments[i]
		s.Name, s.Site, s.When = m.name(i), "", s.When+"true"
	}
	for i := range d.Placements {
		p := &d.Placements[i]
		p.Name, p.Site = m.name(i), ""
		if p.Goal != nil {
			p.Goal.Event += "x"
		}
		if len(p.Variants) == 0 {
			p.Variants = []Variant{{}}
		}
		for j := range p.Variants {
			v := &p.Variants[j]
			v.Name = m.name(j)
			if !v.Until.IsZero() && !v.From.IsZero() {
				v.Until = v.From.Add(time.Hour)
			}
		}
	}
	return d
}

// TestDefinitionsComeBack: what is written as YAML or JSON reads as the same,
// whatever stands in its texts.
func TestDefinitionsComeBack(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	m := maker{rand.New(rand.NewPCG(seed, 6))}
	for range 500 {
		d := m.definitions()
		text := d.YAML()
		c, err := Parse("export", text)
		if err != nil {
			t.Fatalf("seed %d: %v in\n%s", seed, err, text)
		}
		if got := (&Definitions{c.Traits, c.Segments, c.Placements}); !reflect.DeepEqual(got, d) {
			g, _ := json.MarshalIndent(got, "", " ")
			w, _ := json.MarshalIndent(d, "", " ")
			t.Fatalf("seed %d: got %s\nwant %s\nfrom\n%s", seed, g, w, text)
		}
		for i := range d.Traits {
			b, err := ReadTrait("", JSON, d.Traits[i].JSON())
			again(t, seed, b.Trait, &d.Traits[i], d.Traits[i].JSON(), err)
		}
		for i := range d.Segments {
			b, err := ReadSegment(m.name(i), AnyFormat, d.Segments[i].JSON())
			again(t, seed, b.Segment, &d.Segments[i], d.Segments[i].JSON(), err)
		}
		for i := range d.Placements {
			b, err := ReadPlacement("", AnyFormat, d.Placements[i].JSON())
			again(t, seed, b.Placement, &d.Placements[i], d.Placements[i].JSON(), err)
			if !bytes.Equal(b.JSON(), d.Placements[i].JSON()) {
				t.Fatalf("seed %d: written twice: %s, %s", seed, b.JSON(), d.Placements[i].JSON())
			}
		}
	}
}

func again(t *testing.T, seed uint64, got, want any, text []byte, err error) {
	t.Helper()
	if !json.Valid(text) {
		t.Fatalf("seed %d: no JSON: %s", seed, text)
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("seed %d: %v; got %+v\nwant %+v\nfrom %s", seed, err, got, want, text)
	}
}

// TestDefinitionsAreWhole: each key that has a member of the same name where
// definitions are compiled arrives there.
func TestDefinitionsAreWhole(t *testing.T) {
	m := maker{rand.New(rand.NewPCG(1, 1))}
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		for v.IsZero() {
			m.fill(v, true)
		}
		if v.Kind() == reflect.Struct {
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		}
	}
	same := func(from, to any) {
		t.Helper()
		f, d := reflect.ValueOf(from), reflect.ValueOf(to)
		for i := range f.NumField() {
			name := f.Type().Field(i).Name
			if got, want := fmt.Sprintf("%+v", reflect.Indirect(d.FieldByName(name))), fmt.Sprintf("%+v", reflect.Indirect(f.Field(i))); got != want {
				t.Errorf("%T.%s is %s, want %s", to, name, got, want)
			}
		}
	}
	var tr Trait
	fill(reflect.ValueOf(&tr).Elem())
	same(tr, tr.Definition())
	var s Segment
	fill(reflect.ValueOf(&s).Elem())
	same(s, s.Definition())
}
