// Package chart draws bar charts as SVG, for results that are read at a glance.
package chart

import (
	"bytes"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Tone says whose figure a bar shows.
type Tone uint8

const (
	Ours      Tone = iota
	Reference      // what ours is compared with
)

// Bar is one figure with its spread.
type Bar struct {
	Label      string
	Value      float64 // length of the bar, in the panel's unit; 0 or more
	Low, High  float64 // ends of the whisker; none when equal
	Text       string  // written after the bar
	Goal       float64 // a mark at this value; 0: none
	Tone       Tone
	GroupStart bool   // a little room above
	Parts      []Part // what the bar is made of, from the left; none: it has one colour
}

// Part is a part of a bar. Parts of one name have one colour in the whole chart.
type Part struct {
	Name  string
	Value float64 // in the panel's unit; 0 or more
}

// Panel is a set of bars, or of lines over X, on one scale, which begins at 0.
type Panel struct {
	Title string
	Unit  string // of the values; for the scale
	Bars  []Bar
	Lines []Line
	X     []float64 // of the lines' values, growing, 0 or more
	XUnit string
}

// Chart is a whole picture.
type Chart struct {
	Title, Subtitle string
	Panels          []Panel
	Footer          []string
	// Words of the legend for Ours, Reference and Goal; "" is "gateway", "bare
	// handler" and "goal: at most".
	Ours, Reference, Goal string
}

// Geometry, in pixels.
const (
	width      = 860
	left       = 230 // where bars begin
	right      = 210 // room for the text after the longest bar
	barHeight  = 20
	rowHeight  = 30
	groupSpace = 10
	margin     = 28
)

var _ io.WriterTo = (*Chart)(nil)

// WriteTo writes the chart as an SVG document.
func (c *Chart) WriteTo(out io.Writer) (int64, error) {
	var body bytes.Buffer
	p := pen{&body, c.partNames()}
	y := margin + 16.0
	p.text(margin, y, "title", "start", c.Title)
	y += 22
	p.text(margin, y, "muted", "start", c.Subtitle)
	y += 34
	bars := false
	for i := range c.Panels {
		if len(c.Panels[i].Lines) > 0 {
			y = p.lines(&c.Panels[i], y)
			continue
		}
		bars = true
		y = p.panel(&c.Panels[i], y)
	}
	if bars { // lines have their names beside them
		y = p.legend(c, y) + 26
	}
	for _, text := range c.Footer {
		for _, line := range wrap(text) {
			p.text(margin, y, "muted", "start", line)
			y += 18
		}
	}
	height := int(y) + margin - 18

	var all bytes.Buffer
	fmt.Fprintf(&all, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`+"\n", width, height, width, height, escape(c.Title))
	all.WriteString(style)
	fmt.Fprintf(&all, `<rect width="%d" height="%d" class="ground"/>`+"\n", width, height)
	body.WriteTo(&all)
	all.WriteString("</svg>\n")
	return all.WriteTo(out)
}

// footerLine is how many characters of the footer fit a line.
const footerLine = 128

// wrap breaks a text into lines at its spaces.
func wrap(text string) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > footerLine {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

const style = `<style>
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:#1f2933}
.title{font-size:20px;font-weight:650}
.panel{font-size:14px;font-weight:600}
.muted,.scale{fill:#616e7c;font-size:12px}
.ground{fill:#fcfcfa}
.grid{stroke:#e4e7eb}
.ours{fill:#2f6f9f}
.reference{fill:#b8c4ce}
.whisker{stroke:#1f2933;stroke-width:1.2}
.goal{stroke:#c2571a;stroke-width:2}
.part0{fill:#2f6f9f}
.part1{fill:#7fb0d3}
.part2{fill:#1f7a6d}
.part3{fill:#d9a441}
.part4{fill:#8c6bb1}
.part5{fill:#5c6f7d}
.part6{fill:#b5523b}
.part7{fill:#a9b7a0}
` + lineStyle + `</style>
`

// partColours is how many parts are told apart; more begin again.
const partColours = 8

// pen draws into a buffer, whose writes cannot fail.
type pen struct {
	out   *bytes.Buffer
	parts []string // names, in the order of their colours
}

// partNames lists the parts of all bars, in the order of their appearance.
func (c *Chart) partNames() (names []string) {
	for _, panel := range c.Panels {
		for _, b := range panel.Bars {
			for _, part := range b.Parts {
				if !slices.Contains(names, part.Name) {
					names = append(names, part.Name)
				}
			}
		}
	}
	return names
}

func partClass(i int) string { return fmt.Sprintf("part%d", i%partColours) }

func (p pen) panel(panel *Panel, y float64) float64 {
	p.text(margin, y, "panel", "start", panel.Title)
	y += 14
	most := 0.0
	for _, b := range panel.Bars {
		most = max(most, b.Value, b.High, b.Goal)
	}
	step, top := scale(most)
	x := func(v float64) float64 { return left + v/top*(width-left-right) }
	height := 0.0
	for i, b := range panel.Bars {
		height += rowHeight
		if b.GroupStart && i > 0 {
			height += groupSpace
		}
	}
	for v := 0.0; v <= top*1.0001; v += step {
		fmt.Fprintf(p.out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="grid"/>`+"\n", x(v), y, x(v), y+height)
		label := fmt.Sprintf("%g", roundTo(v, step))
		if v == 0 {
			label = "0 " + panel.Unit
		}
		p.text(x(v), y+height+14, "scale", "middle", label)
	}
	for i, b := range panel.Bars {
		if b.GroupStart && i > 0 {
			y += groupSpace
		}
		p.bar(&b, x, y+(rowHeight-barHeight)/2)
		y += rowHeight
	}
	return y + 48
}

func (p pen) bar(b *Bar, x func(float64) float64, y float64) {
	class := "ours"
	if b.Tone == Reference {
		class = "reference"
	}
	middle := y + barHeight/2
	p.text(left-10, middle+4.5, "", "end", b.Label)
	if len(b.Parts) == 0 {
		fmt.Fprintf(p.out, `<rect x="%d" y="%.1f" width="%.1f" height="%d" rx="2" class="%s"/>`+"\n", left, y, x(b.Value)-left, barHeight, class)
	}
	sum := 0.0
	for _, part := range b.Parts {
		from := x(sum)
		sum += part.Value
		fmt.Fprintf(p.out, `<rect x="%.1f" y="%.1f" width="%.1f" height="%d" class="%s"><title>%s</title></rect>`+"\n",
			from, y, x(sum)-from, barHeight, partClass(slices.Index(p.parts, part.Name)), escape(part.Name))
	}
	end := max(x(b.Value), x(sum))
	if b.Low != b.High {
		fmt.Fprintf(p.out, `<path d="M%.1f %.1fH%.1fM%.1f %.1fv8M%.1f %.1fv8" class="whisker" fill="none"/>`+"\n",
			x(b.Low), middle, x(b.High), x(b.Low), middle-4, x(b.High), middle-4)
		end = max(end, x(b.High))
	}
	if b.Goal > 0 {
		fmt.Fprintf(p.out, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="goal"/>`+"\n", x(b.Goal), y-3, x(b.Goal), y+barHeight+3)
		end = max(end, x(b.Goal))
	}
	p.text(end+8, middle+4.5, "", "start", b.Text)
}

// legend explains the colours that the chart uses, and gives the y of its last line.
func (p pen) legend(c *Chart, y float64) float64 {
	x := float64(margin)
	// entry makes room for a text, on the next line where this one is full, and
	// draws its mark and then the text.
	entry := func(mark func() string, text string) {
		room := 22 + 7*float64(len(text)) + 24
		if x > margin && x+room > width-margin+24 {
			x, y = margin, y+20
		}
		p.out.WriteString(mark())
		p.text(x+22, y, "muted", "start", text)
		x += room
	}
	var spread, goal, reference bool
	for _, panel := range c.Panels {
		for _, b := range panel.Bars {
			spread = spread || b.Low != b.High
			goal = goal || b.Goal > 0
			reference = reference || b.Tone == Reference
		}
	}
	square := func(class string) func() string {
		return func() string {
			return fmt.Sprintf(`<rect x="%.1f" y="%.1f" width="14" height="12" rx="2" class="%s"/>`+"\n", x, y-10, class)
		}
	}
	for i, name := range p.parts {
		entry(square(partClass(i)), name)
	}
	if reference { // without it there is nobody to tell apart
		entry(square("ours"), cmp.Or(c.Ours, "gateway"))
		entry(square("reference"), cmp.Or(c.Reference, "bare handler"))
	}
	if spread {
		entry(func() string {
			return fmt.Sprintf(`<path d="M%.1f %.1fh14m-14 -4v8m14 -8v8" class="whisker" fill="none"/>`+"\n", x, y-4)
		}, "least to most of the rounds")
	}
	if goal {
		entry(func() string {
			return fmt.Sprintf(`<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="goal"/>`+"\n", x+7, y-12, x+7, y+3)
		}, cmp.Or(c.Goal, "goal: at most"))
	}
	return y
}

func (p pen) text(x, y float64, class, anchor, s string) {
	if s == "" {
		return
	}
	if class != "" {
		class = ` class="` + class + `"`
	}
	fmt.Fprintf(p.out, `<text x="%.1f" y="%.1f" text-anchor="%s"%s>%s</text>`+"\n", x, y, anchor, class, escape(s))
}

func escape(s string) string {
	var b strings.Builder
	// A strings.Builder never fails.
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}

// scale chooses steps of 1, 2 or 5 times a power of ten, four to ten of them
// up to the first that reaches most.
func scale(most float64) (step, top float64) {
	if most <= 0 {
		return 1, 1
	}
	step = 1
	for step > most {
		step /= 10
	}
	for step*10 <= most {
		step *= 10
	}
	switch { // step <= most < 10 step
	case most < 2*step:
		step /= 5
	case most < 5*step:
		step /= 2
	}
	for top = step; top < most; {
		top += step
	}
	return step, top
}

// roundTo removes the noise that adding steps leaves.
func roundTo(v, step float64) float64 {
	n := int64(v/step + 0.5)
	if step >= 1 {
		return float64(n) * step
	}
	return float64(n) / float64(int64(1/step+0.5))
}
