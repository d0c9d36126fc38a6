// Package device reads which browser, system and machine an event came from:
// from the user agent's text and from the client hints beside it.
//
// What it knows stands in the text files under rules, one product a line; the
// README tells how to add one. mssola/useragent is asked where no rule speaks.
package device

import (
	"embed"
	"fmt"
	"strings"
	"sync"

	"github.com/mssola/useragent"

	"github.com/reuna/reuna/gateway/enrich/match"
	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// The values of event.Device.Type; "bot" is set by who knows of robots.
const (
	Desktop  = "desktop"
	Mobile   = "mobile"
	Tablet   = "tablet"
	TV       = "tv"
	Console  = "console"
	Wearable = "wearable"
	Other    = "other"
)

//go:embed rules
var ruleFiles embed.FS

// Reader reads agents. It is never changed after New, so that any number of
// goroutines may use it.
type Reader struct {
	book    *book
	vendors *vendors
	brands  brands
	scans   sync.Pool
}

// New makes a Reader of the rules in the program. Its error names the file and
// the line that is wrong.
func New() (*Reader, error) {
	b, _, err := readBook()
	if err != nil {
		return nil, err
	}
	v, err := readVendors()
	if err != nil {
		return nil, err
	}
	names, err := readBrands()
	if err != nil {
		return nil, err
	}
	r := &Reader{book: b, vendors: v, brands: names}
	r.scans.New = func() any { return b.newScan() }
	return r, nil
}

// files are the rule files in the order of their kinds.
func files() [kinds]string {
	return [kinds]string{kindSystem: "systems.txt", kindType: "types.txt", kindModel: "models.txt", kindBrowser: "browsers.txt"}
}

func readRules(name string) (string, error) {
	text, err := ruleFiles.ReadFile("rules/" + name)
	if err != nil {
		return "", fmt.Errorf("device: %w", err)
	}
	return string(text), nil
}

// readBook parses the rule files; examples are those of each kind.
func readBook() (*book, [kinds][]example, error) {
	var examples [kinds][]example
	b := &book{}
	p := &parser{number: map[mark]int32{}}
	tables, err := readTables()
	if err != nil {
		return nil, examples, err
	}
	names := namers()
	for kind, name := range files() {
		text, err := readRules(name)
		if err != nil {
			return nil, examples, err
		}
		parsed, err := p.file(name, text)
		if err != nil {
			return nil, examples, err
		}
		for i := range parsed.rules {
			r := &parsed.rules[i]
			if r.table != "" {
				if r.versions = tables[r.table]; r.versions == nil {
					return nil, examples, fmt.Errorf("device: %s: versions.txt has no table %q", r.where, r.table)
				}
			}
			if strings.HasPrefix(r.name, "{") {
				if r.namer = names[strings.Trim(r.name, "{}")]; r.namer == nil {
					return nil, examples, fmt.Errorf("device: %s: there is no function %s that finds names", r.where, r.name)
				}
			}
		}
		b.kinds[kind] = span{len(b.rules), len(b.rules) + len(parsed.rules)}
		b.rules = append(b.rules, parsed.rules...)
		examples[kind] = parsed.examples
	}
	b.marks = p.marks
	return b, examples, b.index()
}

// index makes the tables that a read needs.
func (b *book) index() error {
	var literals []string
	number := map[string]int32{}
	for i := range b.marks {
		n, ok := number[b.marks[i].text]
		if !ok {
			n = int32(len(literals))
			number[b.marks[i].text] = n
			literals = append(literals, b.marks[i].text)
			b.of = append(b.of, nil)
		}
		b.of[n] = append(b.of[n], int32(i))
	}
	b.asks = make([][]int32, len(b.marks))
	b.always = make([]uint64, (len(b.rules)+63)/64)
	for i := range b.rules {
		if len(b.rules[i].any) == 0 {
			b.always[i>>6] |= 1 << (i & 63)
		}
		for _, m := range b.rules[i].any {
			b.asks[m] = append(b.asks[m], int32(i))
		}
	}
	var err error
	b.literals, err = match.NewFolded(literals)
	return err
}

// readTables are the tables of versions.txt by name.
func readTables() (map[string]map[string]string, error) {
	text, err := readRules("versions.txt")
	if err != nil {
		return nil, err
	}
	tables := map[string]map[string]string{}
	for _, l := range lines(text) {
		f := strings.Fields(l.text)
		if len(f) != 3 {
			return nil, fmt.Errorf("device: versions.txt line %d: want \"table number version\", not %q", l.number, l.text)
		}
		if tables[f[0]] == nil {
			tables[f[0]] = map[string]string{}
		}
		tables[f[0]][f[1]] = f[2]
	}
	return tables, nil
}

// Read is the device that an agent and its hints tell; c may be nil. No more
// than memo.MaxAgent bytes of ua are read.
func (r *Reader) Read(ua string, c *Claims) event.Device { return r.read(ua, c, nil) }

// Explain is Read, and which rule said what.
func (r *Reader) Explain(ua string, c *Claims) (event.Device, []memo.Why) {
	var w reasons
	d := r.read(ua, c, &w)
	return d, w.list
}

// reasons collects what Explain tells; nil collects nothing.
type reasons struct{ list []memo.Why }

func (w *reasons) add(field, value, rule string) {
	if w != nil && value != "" {
		w.list = append(w.list, memo.Why{Field: field, Value: value, Rule: rule})
	}
}

func (w *reasons) said(field string, s said) {
	if w != nil && s.rule != nil && s.name != "" {
		value := s.name
		if s.version != "" && field != "type" {
			value += " " + s.version
		}
		w.add(field, value, s.rule.where)
	}
}

func (r *Reader) read(ua string, c *Claims, w *reasons) event.Device {
	ua = memo.Cut(ua, memo.MaxAgent)
	var d event.Device
	if ua != "" {
		d = r.fromText(ua, w)
	}
	if c != nil {
		r.apply(c, &d, w)
	}
	if d.Type == "" && (ua != "" || c != nil && *c != (Claims{})) {
		d.Type = Other
	}
	d.OS, d.OSVersion = kept(d.OS), kept(d.OSVersion)
	d.Browser, d.BrowserVersion = kept(d.Browser), kept(d.BrowserVersion)
	d.Vendor, d.Model = kept(d.Vendor), kept(d.Model)
	return d
}

// kept is a text as an event may hold it: short, and UTF-8 whatever was sent.
func kept(s string) string { return memo.Cut(memo.Valid(s), memo.MaxName) }

// fromText is what the agent alone tells.
func (r *Reader) fromText(ua string, w *reasons) event.Device {
	s := r.scans.Get().(*scan)
	defer r.scans.Put(s)
	r.book.read(s, ua)

	var d event.Device
	system := r.book.first(s, kindSystem, "", "")
	d.OS, d.OSVersion = system.name, system.version
	w.said("os", system)
	typ := r.book.first(s, kindType, d.OS, "")
	d.Type = typ.name
	w.said("type", typ)
	browser := r.book.first(s, kindBrowser, d.OS, d.Type)
	d.Browser, d.BrowserVersion = browser.name, browser.version
	w.said("browser", browser)
	r.machine(s, &d, w)

	if d.Browser == "" && isMozilla(ua) {
		r.ask(ua, &d, w)
	}
	return d
}

// ask is mssola/useragent's word where no rule of ours speaks.
func (r *Reader) ask(ua string, d *event.Device, w *reasons) {
	const rule = "mssola/useragent"
	parsed := useragent.New(ua)
	if name, version := parsed.Browser(); name != "" && name != "Mozilla" {
		d.Browser, d.BrowserVersion = name, dotted(versionOf(version))
		w.add("browser", name, rule)
	}
	if d.OS == "" {
		if info := parsed.OSInfo(); len(info.Name) > 3 && isLetter(info.Name[0]) && !isLanguage(info.Name) {
			d.OS, d.OSVersion = info.Name, dotted(versionOf(info.Version))
			w.add("os", info.Name, rule)
		}
	}
	if d.Type == "" && parsed.Mobile() {
		d.Type = Mobile
		w.add("type", Mobile, rule)
	}
}
