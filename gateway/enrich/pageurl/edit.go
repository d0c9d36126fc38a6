package pageurl

import "strings"

// edit replaces s[from:to] by text.
type edit struct {
	from, to int
	name     int // where the name of the parameter begins that it is the value of; -1: none
	text     string
	rule     rule
}

// field names the part of s that an edit is about.
func (e *edit) field(s string) string {
	switch e.rule {
	case ruleUser, ruleCase, rulePort, ruleIDN, ruleHostMail:
		return "host"
	case ruleSlash:
		return "path"
	case ruleFragment:
		return "fragment"
	case ruleData, ruleScheme, ruleMailto, rulePhone:
		return "address"
	}
	from, end := e.name, e.from
	if from < 0 { // it was found: in the path, or in some parameter's value
		if i := strings.IndexByte(s, '#'); i >= 0 && i < e.from {
			return "fragment"
		}
		i := strings.IndexByte(s, '?')
		if i < 0 || i > e.from {
			return "path"
		}
		from = max(i, strings.LastIndexByte(s[:e.from], '&')) + 1
		if strings.IndexByte(s[from:e.from], '=') < 0 {
			return "query"
		}
	} else if e.text == "" { // the whole parameter
		end = e.to
	}
	var buf [maxName]byte
	name := strings.TrimLeft(s[from:end], "&")
	for i := range len(name) {
		if name[i] == '=' || name[i] == '%' && i+3 == len(name) {
			name = name[:i]
			break
		}
	}
	n := 0
	for i := 0; i < len(name) && n < len(buf); n++ {
		c, w, _ := char(name, i, false)
		buf[n] = c
		i += w
	}
	return "parameter " + string(buf[:n])
}

// isMarker says that a value is what the package writes.
func isMarker(s string) bool {
	switch s {
	case "[email]", "[token]", "[number]", "[phone]", "[removed]", "*":
		return true
	}
	return false
}

// add puts an edit among those before it, which stay in order. One that begins
// where another runs joins it.
//
// Invariant: the edits of a scan are sorted and do not touch each other's bytes.
func (x *scan) add(e edit) {
	if x.edits == nil {
		x.edits = make([]edit, 0, 8) // not in the scan: most addresses need none
	}
	n := len(x.edits)
	for n > 0 && x.edits[n-1].from >= e.from {
		n--
	}
	// The edits from n on begin inside e or behind it.
	m := n
	for m < len(x.edits) && x.edits[m].from < e.to {
		e.to = max(e.to, x.edits[m].to)
		m++
	}
	if n > 0 && x.edits[n-1].to > e.from {
		x.edits[n-1].to = max(x.edits[n-1].to, e.to)
		x.edits = append(x.edits[:n], x.edits[m:]...)
		return
	}
	if m == n {
		x.edits = append(x.edits, edit{})
		copy(x.edits[n+1:], x.edits[n:])
	} else {
		x.edits = append(x.edits[:n+1], x.edits[m:]...)
	}
	x.edits[n] = e
}

func apply(s string, edits []edit, left *int) string {
	b := make([]byte, 0, len(s)+16)
	at := 0
	for i := range edits {
		e := &edits[i]
		b = append(b, s[at:e.from]...)
		at = e.to
		text := e.text
		if text != "" && text[0] == '[' {
			if grown := len(text) - (e.to - e.from); grown > *left {
				text = "*"
			} else if grown > 0 {
				*left -= grown
			}
		}
		b = append(b, text...)
	}
	return string(append(b, s[at:]...))
}
