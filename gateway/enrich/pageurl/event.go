package pageurl

import (
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// Event cleans all addresses that an event holds, in place: those of the page
// and the campaign in its context, every address among its properties, its
// traffic source's texts and the event's name. Traits are left alone: they are what a
// site means to say about somebody. What needs no change stays byte for byte, and
// when nothing does, nothing is allocated.
//
// Properties are the site's to answer for, too, but for addresses: whatever
// has an address's form, and members that hold one by their name.
func (c *Cleaner) Event(ev *event.Event) {
	var s seen
	ev.Context = c.object(ev.Context, inContext, &s)
	ev.Properties = c.object(ev.Properties, inProperties, &s)
	for _, name := range [...]*string{&ev.Name, &ev.Category} {
		switch isPage := ev.Type == event.Page || ev.Type == event.Screen; {
		case isSuspect(*name):
			*name = c.text(*name, leave)
		case isPage: // many name a page by its title
			*name = Text(*name)
		}
	}
	t := &ev.Traffic
	t.Source, t.Medium, t.Campaign = Text(t.Source), Text(t.Medium), Text(t.Campaign)
	t.Term, t.Content = Text(t.Term), Text(t.Content)
}

// Message is Event for a message as it was sent, a JSON object that Check took:
// one that was refused, and may be mended and sent again.
func (c *Cleaner) Message(v event.Value) event.Value { return c.object(v, inMessage, new(seen)) }

// seen are strings of an event that are clean. A page view says most of them
// twice, in its context and in its properties, and its address's parts again as
// path and search.
type seen struct {
	raw          [6]string
	how          [6]how
	n            int
	path, search string // of the last address with a host; clean as it is
}

func (s *seen) has(raw string, h how) bool {
	for i := range s.raw {
		if s.raw[i] == raw && s.how[i] == h {
			return true
		}
	}
	return h == asAddress && raw == s.path || h == asSearch && raw == s.search
}

func (s *seen) put(raw string, h how) {
	i := s.n % len(s.raw)
	s.raw[i], s.how[i] = raw, h
	s.n++
	if h != asAddress {
		return
	}
	if i = strings.Index(raw, "://"); i < 0 {
		return
	}
	for i += len("://"); i < len(raw) && raw[i] != '/'; i++ {
		if c := raw[i]; c == '?' || c == '#' || c == '\\' {
			return
		}
	}
	rest, _, _ := strings.Cut(raw[i:], "#")
	s.path, s.search = rest, ""
	if i = strings.IndexByte(rest, '?'); i >= 0 {
		s.path, s.search = rest[:i], rest[i:]
	}
	if strings.HasPrefix(s.path, "//") {
		s.path = "" // by itself it would be a host's name
	}
}

// where says what the object is that is walked, and where in it.
type where uint8

const (
	inProperties where = iota
	inContext
	inCampaign // of the context
	inTraits   // left alone; so is the browser's account of itself
	inMessage  // with context and properties one level down
)

// object gives v with the addresses among its strings cleaned. It reads v's
// text once, without a tree: which string is a key its colon tells.
func (c *Cleaner) object(v event.Value, in where, known *seen) event.Value {
	if v.Kind() != event.Object {
		return v
	}
	s := string(v)
	var out []byte
	from := 0 // what stands before it is in out
	var path [2]where
	depth, key := 0, ""
	here := in
	for i := 0; i < len(s); i++ {
		b := s[i]
		if b != '"' {
			if b < '[' { // digits, commas, colons
				continue
			}
			switch b {
			case '{', '[':
				if depth++; depth == 2 && in != inProperties {
					path[0], here = here, within(here, key)
				} else if depth == 3 && in == inMessage {
					path[1], here = here, within(here, key)
				}
			case '}', ']':
				if depth--; depth == 1 && in != inProperties {
					here = path[0]
				} else if depth == 2 && in == inMessage {
					here = path[1]
				}
			}
			continue
		}
		start := i + 1
		i = start
		for most := min(i+24, len(s)); i < most && s[i] != '"' && s[i] != '\\'; {
			i++
		}
		if i == len(s) || s[i] != '"' { // most strings are short
			i = stringEnd(s, start-1) - 1
		}
		inside := s[start:i]
		if i+1 < len(s) && (s[i+1] == ':' || s[i+1] <= ' ' && isKey(s, i+1)) {
			key = inside
			continue
		}
		if here == inTraits || len(inside) < 3 {
			continue
		}
		how := howToClean(key, here)
		if how == leave && !mayBeAddress(inside) || known.has(inside, how) {
			continue
		}
		if clean := c.member(inside, how, known); clean != inside {
			if out == nil {
				out = make([]byte, 0, len(s)+64)
			}
			out = append(append(out, s[from:start]...), clean...)
			from = i
		}
	}
	if out == nil {
		return v
	}
	return event.Value(append(out, s[from:]...))
}

// within says where the value of a key is.
func within(here where, key string) where {
	switch {
	case here == inProperties:
		return here
	case key == "traits", here == inContext && key == "userAgentData":
		return inTraits
	case here == inContext && key == "campaign":
		return inCampaign
	case here == inMessage && key == "context":
		return inContext
	case here == inMessage && key == "properties":
		return inProperties
	}
	return here
}

func stringEnd(s string, i int) int {
	for {
		n := strings.IndexByte(s[i+1:], '"')
		if n < 0 {
			return len(s)
		}
		i += n + 1
		k := i
		for s[k-1] == '\\' {
			k--
		}
		if (i-k)&1 == 0 {
			return i + 1
		}
	}
}

func isKey(s string, i int) bool {
	for i < len(s) && s[i] <= ' ' {
		i++
	}
	return i < len(s) && s[i] == ':'
}

// scratch are buffers for strings whose escapes are resolved.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// maxScratch is the largest buffer that is kept.
const maxScratch = 64 << 10

// member cleans a string of an object; raw is its inside, and so is the result.
func (c *Cleaner) member(raw string, how how, known *seen) string {
	if strings.IndexByte(raw, '\\') < 0 {
		hash, clean := c.known.has(raw, how)
		if clean { // the fast branch
			known.put(raw, how)
			return raw
		}
		text := c.text(raw, how)
		if text == raw {
			known.put(raw, how)
			c.known.put(hash, raw, how)
			return raw
		}
		return inside(text, raw)
	}
	p := scratch.Get().(*[]byte)
	b := unescape((*p)[:0], raw)
	plain := unsafe.String(unsafe.SliceData(b), len(b)) // for as long as b is ours
	clean := plain
	if how != leave || isSuspect(plain) {
		clean = c.text(plain, how)
	}
	if clean == plain {
		clean = raw
	} else {
		clean = inside(strings.Clone(clean), "")
	}
	if *p = b; cap(b) <= maxScratch {
		scratch.Put(p)
	}
	return clean
}

// inside is clean as it stands between the quotes of a JSON string.
func inside(clean, raw string) string {
	if clean == raw {
		return raw
	}
	for i := range len(clean) {
		if c := clean[i]; c < ' ' || c == '"' || c == '\\' {
			q := event.AppendQuoted(nil, clean)
			return string(q[1 : len(q)-1])
		}
	}
	return clean
}

// how a string is cleaned.
type how uint8

const (
	leave how = iota
	asAddress
	asParameters
	asWords
	asSearch // an address's query, or what somebody looked for
)

// howToClean judges a string by its key: the Segment spec's names and GA4's.
func howToClean(key string, in where) how {
	if in == inCampaign {
		if key == "query" {
			return asParameters
		}
		return asWords
	}
	switch key {
	case "url", "referrer", "path", "href", "page_location", "page_referrer", "link_url":
		return asAddress
	case "search":
		return asSearch
	case "title", "page_title", "search_term", "query", "term", "keyword":
		return asWords
	}
	return leave
}

// mayBeAddress says that a string of any name needs a look: raw, as JSON has it,
// where every character may be escaped.
func mayBeAddress(raw string) bool {
	return isSuspect(raw) || strings.IndexByte(raw, '\\') >= 0 && strings.Contains(raw, `\u00`)
}

// isSuspect says that a text may have an address's form, or an address inside.
func isSuspect(s string) bool {
	if s == "" {
		return false
	}
	if s[0] == '/' || s[0] == '\\' {
		return true
	}
	i := strings.IndexByte(s, ':')
	if i < 2 || i+1 == len(s) {
		return false
	}
	return s[i+1] == '/' || s[i+1] == '\\' || strings.Contains(s[i+1:], ":/") || strings.Contains(s[i+1:], `:\/`) || isOpaque(s[:i])
}

// isAddress says that a text has an address's form: scheme://, //host, /path,
// mailto: and its like.
func isAddress(s string) bool {
	if len(s) < 2 {
		return false
	}
	if s[0] == '/' {
		return s[1] > ' ' && strings.IndexByte(s, ' ') < 0
	}
	n := schemeEnd(s)
	return n > 2 && (strings.HasPrefix(s[n:], "/") || isOpaque(s[:n-1]))
}

func (c *Cleaner) text(s string, h how) string {
	switch h {
	case asAddress:
		return c.URL(s)
	case asParameters:
		return c.Query(s)
	case asWords:
		if isAddress(s) {
			return c.URL(s)
		}
		return Text(s)
	case asSearch:
		if s != "" && s[0] == '?' {
			return c.URL(s)
		}
		if strings.IndexByte(s, '=') >= 0 {
			return c.Query(s)
		}
		return Text(s)
	}
	if isAddress(s) {
		return c.URL(s)
	}
	return Text(s) // an address somewhere inside, as in the trace of an error
}

// unescape resolves the escapes of a checked JSON string's inside.
func unescape(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '\\' || i+1 == len(s) {
			b = append(b, c)
			continue
		}
		i++
		switch s[i] {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			r := hex4(s, i+1)
			if i += 4; utf16.IsSurrogate(r) { // checked: its other half follows
				r = utf16.DecodeRune(r, hex4(s, i+3))
				i += 6
			}
			b = utf8.AppendRune(b, r)
			continue
		default:
			c = s[i]
		}
		b = append(b, c)
	}
	return b
}

func hex4(s string, i int) (r rune) {
	for j := i; j < i+4 && j < len(s); j++ {
		r = r<<4 | rune(memo.Unhex(s[j])&15)
	}
	return r
}
