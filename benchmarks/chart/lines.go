package chart

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Line is a series over a panel's X.
type Line struct {
	Name string    // written at the line's end
	Y    []float64 // as many as the panel's X, in its unit; 0 or more
}

const (
	lineHeight = 110 // of a panel of lines
	lineLeft   = 76
	lineRight  = 120 // room for the names
	nameHeight = 14  // names are at least so far apart
	mostSteps  = 5   // of a scale
)

const lineStyle = `.line0{fill:none;stroke:#2f6f9f;stroke-width:1.6}
.name0{fill:#2f6f9f;font-weight:600}
.line1{fill:none;stroke:#c2571a;stroke-width:1.6}
.name1{fill:#c2571a;font-weight:600}
.line2{fill:none;stroke:#1f7a6d;stroke-width:1.6}
.name2{fill:#1f7a6d;font-weight:600}
.line3{fill:none;stroke:#d9a441;stroke-width:1.6}
.name3{fill:#d9a441;font-weight:600}
.line4{fill:none;stroke:#8c6bb1;stroke-width:1.6}
.name4{fill:#8c6bb1;font-weight:600}
.line5{fill:none;stroke:#5c6f7d;stroke-width:1.6}
.name5{fill:#5c6f7d;font-weight:600}
.line6{fill:none;stroke:#b5523b;stroke-width:1.6}
.name6{fill:#b5523b;font-weight:600}
.line7{fill:none;stroke:#a9b7a0;stroke-width:1.6}
.name7{fill:#a9b7a0;font-weight:600}
`

// lines draws a panel of lines over X, which begins at 0; its scale begins at 0 too, so
// that what is flat looks flat.
func (p pen) lines(panel *Panel, y float64) float64 {
	p.text(margin, y, "panel", "start", panel.Title)
	y += 14
	most, last := 0.0, 0.0
	for _, l := range panel.Lines {
		for _, v := range l.Y {
			most = max(most, v)
		}
	}
	for _, v := range panel.X {
		last = max(last, v)
	}
	bottom := y + lineHeight
	step, top := scale(max(most, 1e-9))
	for top/step > mostSteps {
		step *= 2
	}
	top = step * math.Ceil(most/step)
	place := func(v float64) float64 { return bottom - v/top*lineHeight }
	for v := 0.0; v <= top*1.0001; v += step {
		fmt.Fprintf(p.out, `<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" class="grid"/>`+"\n", lineLeft, place(v), width-lineRight, place(v))
		label := fmt.Sprintf("%.4g", v)
		if v == 0 {
			label = "0 " + panel.Unit
		}
		p.text(lineLeft-8, place(v)+4, "scale", "end", label)
	}
	along, _ := scale(last)
	x := func(v float64) float64 { return lineLeft + v/max(last, 1e-9)*(width-lineLeft-lineRight) }
	for v := 0.0; v <= last*1.0001; v += along {
		label := fmt.Sprintf("%.4g", v)
		if v == 0 {
			label = strings.TrimSpace("0 " + panel.XUnit)
		}
		p.text(x(v), bottom+16, "scale", "middle", label)
	}
	type name struct {
		y    float64
		text string
		i    int
	}
	var names []name
	for i, l := range panel.Lines {
		if len(l.Y) == 0 {
			continue
		}
		var points strings.Builder
		for j, v := range l.Y {
			fmt.Fprintf(&points, "%.1f,%.1f ", x(panel.X[j]), place(v))
		}
		fmt.Fprintf(p.out, `<polyline points="%s" class="line%d"/>`+"\n", strings.TrimSpace(points.String()), i%partColours)
		names = append(names, name{place(l.Y[len(l.Y)-1]) + 4, l.Name, i})
	}
	slices.SortFunc(names, func(a, b name) int { return int(b.y - a.y) }) // the lowest first
	for i, n := range names {
		if i > 0 {
			n.y = min(n.y, names[i-1].y-nameHeight)
			names[i].y = n.y
		}
		p.text(width-lineRight+8, n.y, fmt.Sprintf("name%d", n.i%partColours), "start", n.text)
	}
	return bottom + 50
}
