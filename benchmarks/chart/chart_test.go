package chart

import (
	"bytes"
	"encoding/xml"
	"io"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func draw(t *testing.T, c *Chart) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		t.Fatal(err)
	}
	d := xml.NewDecoder(bytes.NewReader(b.Bytes()))
	for {
		if _, err := d.Token(); err == io.EOF {
			return b.String()
		} else if err != nil {
			t.Fatalf("not XML: %v\n%s", err, &b)
		}
	}
}

// widths are those of the bars (whose height sets them apart from the legend).
func widths(t *testing.T, svg string) []float64 {
	t.Helper()
	var all []float64
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		e, ok := token.(xml.StartElement)
		if !ok || e.Name.Local != "rect" {
			continue
		}
		attr := map[string]string{}
		for _, a := range e.Attr {
			attr[a.Name.Local] = a.Value
		}
		if attr["height"] == strconv.Itoa(barHeight) {
			w, err := strconv.ParseFloat(attr["width"], 64)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, w)
		}
	}
}

func TestBarsAreProportional(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 50 {
		var p Panel
		for range 1 + random.IntN(6) {
			v := math.Pow(10, random.Float64()*6-3)
			p.Bars = append(p.Bars, Bar{Label: "x", Value: v, Low: v / 2, High: v * 1.5, Goal: v})
		}
		got := widths(t, draw(t, &Chart{Panels: []Panel{p}}))
		if len(got) != len(p.Bars) {
			t.Fatalf("%d bars drawn: expected %d", len(got), len(p.Bars))
		}
		for i := range got {
			if got[i] < 0 || got[i] > width-left-right {
				t.Fatalf("bar of %v is %v wide", p.Bars[i].Value, got[i])
			}
			want := got[0] / p.Bars[0].Value * p.Bars[i].Value
			// Widths are written with one digit after the point.
			if slack := 0.06 * (1 + p.Bars[i].Value/p.Bars[0].Value); math.Abs(got[i]-want) > slack {
				t.Fatalf("bar of %v is %v wide: expected %v", p.Bars[i].Value, got[i], want)
			}
		}
	}
}

func TestTextIsEscaped(t *testing.T) {
	svg := draw(t, &Chart{Title: `a < b & "c"`, Footer: []string{"<script>"}, Panels: []Panel{{Title: "p", Unit: "µs", Bars: []Bar{{Label: "<l>", Text: "&", Value: 1}}}}})
	if strings.Contains(svg, "<script>") || strings.Contains(svg, "<l>") {
		t.Error(svg)
	}
}

func TestLegendNamesWhatIsThere(t *testing.T) {
	plain := draw(t, &Chart{Panels: []Panel{{Bars: []Bar{{Value: 1}}}}})
	full := draw(t, &Chart{Panels: []Panel{{Bars: []Bar{{Value: 1, Low: 0.5, High: 2, Goal: 3, Tone: Reference}}}}})
	for _, text := range []string{"bare handler", "least to most", "goal"} {
		if strings.Contains(plain, ">"+text) || !strings.Contains(full, ">"+text) {
			t.Errorf("%q: expected only in the chart that uses it", text)
		}
	}
}

func TestEmptyChart(t *testing.T) { draw(t, &Chart{Panels: []Panel{{}}}) }

func TestScale(t *testing.T) {
	for _, most := range []float64{0.0013, 0.02, 0.99, 1, 1.4, 2, 3.7, 5, 9.99, 10, 42, 100, 730, 12345} {
		step, top := scale(most)
		if n := top / step; top < most*0.9999 || n < 2.5 || n > 11 || top > 2*most {
			t.Errorf("%v: steps of %v to %v", most, step, top)
		}
	}
}

// Parts of a bar lie side by side and together are as long as their sum.
func TestPartsAddUp(t *testing.T) {
	c := &Chart{Panels: []Panel{{Bars: []Bar{
		{Label: "whole", Value: 60},
		{Label: "in parts", Value: 60, Parts: []Part{{"a", 10}, {"b & c", 30}, {"d", 20}}},
		{Label: "other parts", Value: 40, Parts: []Part{{"d", 40}}},
	}}}}
	svg := draw(t, c)
	w := widths(t, svg)
	if len(w) != 5 {
		t.Fatalf("%d bars and parts were drawn, expected 5", len(w))
	}
	if sum := w[1] + w[2] + w[3]; math.Abs(sum-w[0]) > 0.3 {
		t.Errorf("parts are %g long together, the bar %g", sum, w[0])
	}
	for text, times := range map[string]int{"b &amp; c": 2, ">gateway<": 0, `class="part2"`: 3} {
		if got := strings.Count(svg, text); got != times {
			t.Errorf("%q is there %d times, expected %d", text, got, times)
		}
	}
}

// A legend of many parts goes on in a second line instead of over the edge.
func TestLongLegendsWrap(t *testing.T) {
	var b Bar
	for i := range 20 {
		b.Parts = append(b.Parts, Part{Name: "part number " + strconv.Itoa(i), Value: 1})
	}
	svg := draw(t, &Chart{Panels: []Panel{{Bars: []Bar{b}}}})
	lines := map[string]bool{}
	for part := range strings.SplitSeq(svg, "<text ") {
		if !strings.Contains(part, ">part number ") {
			continue
		}
		x, rest, _ := strings.Cut(strings.TrimPrefix(part, `x="`), `" y="`)
		y, _, _ := strings.Cut(rest, `"`)
		lines[y] = true
		if v, err := strconv.ParseFloat(x, 64); err != nil || v > width-margin-60 {
			t.Errorf("a text begins at %s, %v", x, err)
		}
	}
	if len(lines) < 3 {
		t.Errorf("20 names stand in %d lines", len(lines))
	}
}
