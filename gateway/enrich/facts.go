package enrich

import (
	"hash/maphash"
	"strconv"
	"strings"

	"golang.org/x/text/language"

	"github.com/reuna/reuna/gateway/enrich/device"
	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// maxLanguages bounds an Accept-Language header or a locale that is read, in
// bytes; browsers send some fifty at most.
const maxLanguages = 256

// languages gives a language its one BCP 47 writing and remembers it: reading a
// tag takes a microsecond, and a site's visitors have few.
type languages struct {
	seed  maphash.Seed
	known *memo.Table[spelling]
}

type spelling struct{ said, tag string }

func newLanguages(size int) *languages {
	return &languages{seed: maphash.MakeSeed(), known: memo.NewTable[spelling](size)}
}

// tag is the BCP 47 tag of a locale ("en_gb.UTF-8") or of the language that an
// Accept-Language header likes best ("fi-FI,fi;q=0.9"); "" when it names none.
func (l *languages) tag(said string) string {
	if said == "" || len(said) > maxLanguages {
		return ""
	}
	h := maphash.String(l.seed, said)
	a, b := l.known.Candidates(h)
	if a != nil && a.said == said {
		return a.tag
	}
	if b != nil && b.said == said {
		return b.tag
	}
	s := &spelling{said: strings.Clone(said), tag: readLanguage(said)}
	l.known.Put(h, s)
	return s.tag
}

func readLanguage(said string) string {
	best, most := "", 0.0
	for part := range strings.SplitSeq(said, ",") {
		name, params, _ := strings.Cut(part, ";")
		weight := 1.0 // RFC 9110, 12.4.2
		if q, ok := strings.CutPrefix(strings.TrimSpace(params), "q="); ok {
			var err error
			if weight, err = strconv.ParseFloat(q, 64); err != nil {
				continue
			}
		}
		if !(weight > most) { // nor is what is no number
			continue
		}
		name = strings.TrimSpace(name)
		if i := strings.IndexAny(name, ".@"); i >= 0 { // POSIX: en_GB.UTF-8, ca_ES@valencia
			name = name[:i]
		}
		t, err := language.Parse(strings.ReplaceAll(name, "_", "-"))
		// Extensions tell how somebody sorts and counts, which few share.
		base, script, region := t.Raw()
		if err == nil {
			t, err = language.Compose(base, script, region)
		}
		if err != nil || t.IsRoot() || base == (language.Base{}) {
			continue // no language: the next one may be
		}
		best, most = t.String(), weight
	}
	return best
}

// timezone is a time zone in the form of the IANA database's names; "" for
// anything else. Whether there is such a zone is not looked up.
func timezone(s string) string {
	if len(s) < 3 || len(s) > memo.MaxName || !(s[0] >= 'A' && s[0] <= 'Z') {
		return ""
	}
	for i := range len(s) {
		c := s[i]
		if !(c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' || c == '/' || c == '_' || c == '-' || c == '+') {
			return ""
		}
	}
	return s
}

// maxPixels bounds a side of a screen: 32K video walls have fewer.
const maxPixels = 1 << 16

// screen is "1920x1080" of context.screen, in CSS pixels; "" where it names no
// sensible size.
func screen(v event.Value, words *memo.Interner) string {
	width, okW := v.Get("width").Number()
	height, okH := v.Get("height").Number()
	if !okW || !okH || width < 1 || height < 1 || width >= maxPixels || height >= maxPixels {
		return ""
	}
	var buf [16]byte
	b := strconv.AppendInt(buf[:0], int64(width), 10)
	b = append(b, 'x')
	b = strconv.AppendInt(b, int64(height), 10)
	return words.Text(b)
}

// upright turns a Mac with an iPad's screen into the iPad that it is: since
// iPadOS 13 its Safari asks for desktop pages as a Mac's does, in the same words.
// WebKit tells an iPad's screen as it is held upright however it is held, and no
// Mac's is of these sizes in CSS pixels, which are all that Apple has made.
// https://developer.apple.com/design/human-interface-guidelines/layout
func upright(d *event.Device) {
	if d.OS != "Mac OS X" || d.Browser != "Safari" {
		return
	}
	switch d.Screen {
	case "744x1133", "768x1024", "810x1080", "820x1180", "834x1112", "834x1194", "834x1210", "1024x1366", "1032x1376":
		d.Type, d.OS, d.OSVersion, d.Model = device.Tablet, "iOS", d.BrowserVersion, "iPad" // both come with each other, under one number
		d.Browser = "Mobile Safari"
	}
}
