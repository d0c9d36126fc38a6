package main

import (
	"bytes"
	"fmt"
	"html"
	"strings"
)

// Geometry of the picture, in pixels.
const (
	picWidth  = 920
	picMargin = 32
	picLeft   = 200 // where bars begin
	picRight  = 230 // room for the text behind the longest bar
	picRow    = 30
	picBar    = 18
	picStack  = 34
)

// colours of the groups; each has enough contrast to the ground, and they differ
// in lightness too.
var colours = map[string]string{
	groupEvents: "#1f5f8b", groupPeople: "#d9822b", groupFind: "#6aa84f", groupKeys: "#8e5ea2", groupRest: "#616e7c", groupWAL: "#c3ccd5",
}

const picStyle = `<style>
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;fill:#1f2933}
.title{font-size:20px;font-weight:650}
.muted{fill:#616e7c;font-size:12px}
.end{text-anchor:end}
</style>
`

// picture draws where the bytes are: all groups in one bar, then each space.
func picture(o *overview) []byte {
	shares, onDisk := o.shares()
	byGroup := map[string]uint64{}
	var all uint64
	for _, x := range shares {
		all += x.Bytes
		byGroup[x.Group] += x.Bytes
	}
	height := 190 + len(shares)*picRow + 54
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	title := fmt.Sprintf("Where the bytes are: %s", size(all))
	p(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`, picWidth, height, picWidth, height, html.EscapeString(title))
	b.WriteString(picStyle)
	p(`<rect width="%d" height="%d" fill="#fcfcfa"/>`, picWidth, height)
	p(`<text class="title" x="%d" y="48">%s</text>`, picMargin, title)
	p(`<text class="muted" x="%d" y="70">%s</text>`, picMargin, html.EscapeString(subtitle(o, onDisk)))

	x := float64(picMargin)
	const full = picWidth - 2*picMargin
	for _, g := range groups {
		w := float64(full) * float64(byGroup[g]) / float64(max(all, 1))
		if w > 0 {
			p(`<rect x="%.1f" y="88" width="%.1f" height="%d" fill="%s"><title>%s: %s</title></rect>`, x, max(w, 0.5), picStack, colours[g], g, size(byGroup[g]))
		}
		x += w
	}
	x = picMargin
	for _, g := range groups {
		p(`<rect x="%.0f" y="136" width="12" height="12" rx="2" fill="%s"/>`, x, colours[g])
		label := html.EscapeString(g + " " + share100(byGroup[g], all))
		p(`<text class="muted" x="%.0f" y="146">%s</text>`, x+18, label)
		x += 44 + 6.6*float64(len(label))
	}

	y := 180.0
	for _, s := range shares {
		w := float64(picWidth-picLeft-picRight) * float64(s.Bytes) / float64(max(shares[0].Bytes, 1))
		p(`<text class="end" x="%d" y="%.0f">%s</text>`, picLeft-12, y+13.5, html.EscapeString(s.Name))
		p(`<rect x="%d" y="%.0f" width="%.1f" height="%d" rx="2" fill="%s"/>`, picLeft, y, max(w, 1), picBar, colours[s.Group])
		p(`<text x="%.1f" y="%.0f">%s <tspan class="muted">%s</tspan></text>`, picLeft+max(w, 1)+8, y+13.5, size(s.Bytes), html.EscapeString(behind(s, all)))
		y += picRow
	}
	p(`<text class="muted" x="%d" y="%.0f">%s</text>`, picMargin, y+22, html.EscapeString(footer(o)))
	p(`</svg>`)
	return b.Bytes()
}

func subtitle(o *overview, onDisk bool) string {
	what := "bytes of table files that each key space takes"
	if !onDisk {
		what = "bytes of records, most of which are in the write-ahead log alone"
	}
	return fmt.Sprintf("%s; entries %s to %s in the log", what, number(o.Head), number(o.Last))
}

func behind(s share, all uint64) string {
	text := share100(s.Bytes, all)
	if s.Records > 0 {
		text += ", " + count(s.Records, "record")
	}
	return text
}

func share100(n, of uint64) string {
	v := percent(n, of)
	switch {
	case n == 0:
		return "0 %"
	case v < 0.1:
		return "under 0.1 %"
	case v < 10:
		return fmt.Sprintf("%.1f %%", v)
	}
	return fmt.Sprintf("%.0f %%", v)
}

func footer(o *overview) string {
	var parts []string
	for _, x := range [...]struct {
		name string
		packed
	}{{"the log's tail", o.Log}, {"histories", o.Histories}} {
		if x.Entries > 0 {
			parts = append(parts, fmt.Sprintf("%s: %s an entry, packed %s", x.name, each(x.Bytes, x.Entries), ratio(x.Plain, x.Bytes)))
		}
	}
	return strings.Join(parts, "; ")
}
