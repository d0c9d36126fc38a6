package device

import (
	"strconv"
	"strings"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// Hints are the client hint headers as they were sent (RFC 8941 text), empty
// where absent. https://wicg.github.io/ua-client-hints/
type Hints struct {
	UA              string // Sec-CH-UA
	Mobile          string // Sec-CH-UA-Mobile
	Platform        string // Sec-CH-UA-Platform
	PlatformVersion string // Sec-CH-UA-Platform-Version
	Model           string // Sec-CH-UA-Model
	FullVersionList string // Sec-CH-UA-Full-Version-List
	Arch            string // Sec-CH-UA-Arch
	FormFactors     string // Sec-CH-UA-Form-Factors
}

// maxHints bounds all hint headers of a request together, in bytes: three
// times what browsers send. Longer ones are not read, because the cache of
// agents would have to keep them.
const maxHints = 1024

// maxBrands bounds the brands of one list that are read: browsers send three.
const maxBrands = 16

// Bound drops headers that are too long to be a browser's.
func (h *Hints) Bound() {
	if len(h.UA)+len(h.Mobile)+len(h.Platform)+len(h.PlatformVersion)+len(h.Model)+len(h.FullVersionList)+len(h.Arch)+len(h.FormFactors) > maxHints {
		*h = Hints{}
	}
}

// Claims is what client hints say, from headers or from userAgentData.
type Claims struct {
	Mobile, MobileSaid bool
	Platform           string
	PlatformVersion    string
	Model              string
	FormFactor         string // the first that is known; "Tablet"
	Brand              string // the most telling one; never GREASE
	Version            string // of Brand, the fullest that was given
	Headless           bool   // a brand says that nobody looks at the pages
	Touch              bool   // more than one finger is told apart: no Mac does that
}

// ClaimsOf reads the headers, and over them what the page's script got from
// navigator.userAgentData. Of data it also reads "maxTouchPoints", which
// scripts may put beside it: an iPad that asks for desktop pages says it is a
// Mac, but tells five fingers apart.
func ClaimsOf(h Hints, data event.Value) Claims {
	h.Bound()
	c := Claims{
		Platform:        hintString(h.Platform),
		PlatformVersion: hintString(h.PlatformVersion),
		Model:           hintString(h.Model),
	}
	switch strings.TrimSpace(h.Mobile) {
	case "?1":
		c.Mobile, c.MobileSaid = true, true
	case "?0":
		c.MobileSaid = true
	}
	var brands brandChoice
	eachBrand(h.UA, brands.offer)
	eachBrand(h.FullVersionList, brands.offer)
	eachBrand(h.FormFactors, func(name, _ string) { c.form(name) })
	c.data(data, &brands)
	c.Brand, c.Version, c.Headless = brands.name, brands.version, brands.headless
	if full := data.Get("uaFullVersion").Text(); len(full) > len(c.Version) && c.Brand != "" {
		c.Version = full
	}
	c.Platform, c.PlatformVersion = memo.Cut(c.Platform, memo.MaxName), memo.Cut(c.PlatformVersion, memo.MaxName)
	c.Model, c.Brand, c.Version = memo.Cut(c.Model, memo.MaxName), memo.Cut(c.Brand, memo.MaxName), memo.Cut(c.Version, memo.MaxName)
	return c
}

// data reads navigator.userAgentData.
func (c *Claims) data(data event.Value, brands *brandChoice) {
	data.Each(func(key string, v event.Value) bool {
		switch key {
		case "mobile":
			if b, ok := v.Bool(); ok {
				c.Mobile, c.MobileSaid = b, true
			}
		case "platform":
			c.Platform = orElse(v.Text(), c.Platform)
		case "platformVersion":
			c.PlatformVersion = orElse(v.Text(), c.PlatformVersion)
		case "model":
			c.Model = orElse(v.Text(), c.Model)
		case "maxTouchPoints":
			n, ok := v.Number()
			c.Touch = ok && n > 1
		case "formFactors", "formFactor":
			n := 0
			v.Items(func(f event.Value) bool {
				c.form(f.Text())
				n++
				return n < maxBrands
			})
		case "brands", "fullVersionList":
			n := 0
			v.Items(func(b event.Value) bool {
				brands.offer(b.Get("brand").Text(), b.Get("version").Text())
				n++
				return n < maxBrands
			})
		}
		return true
	})
}

// form keeps the first form factor that says what a machine is.
// https://wicg.github.io/ua-client-hints/#sec-ch-ua-form-factors
func (c *Claims) form(name string) {
	if c.FormFactor == "" && formType(name) != "" {
		c.FormFactor = name
	}
}

func formType(name string) string {
	switch name {
	case "Desktop":
		return Desktop
	case "Mobile":
		return Mobile
	case "Tablet", "EInk":
		return Tablet
	case "Watch", "XR":
		return Wearable
	case "Automotive":
		return Other
	}
	return ""
}

func orElse(s, other string) string {
	if s != "" {
		return s
	}
	return other
}

// brandChoice keeps the most telling of the brands it is offered: a product
// over the engine it is built on, and of one brand the longest version.
type brandChoice struct {
	name, version string
	rank          int
	headless      bool
}

func (b *brandChoice) offer(name, version string) {
	rank := 3
	switch name {
	case "":
		return
	case "Chromium":
		rank = 1
	case "Google Chrome", "Android WebView":
		rank = 2
	case "HeadlessChrome", "HeadlessEdg":
		b.headless = true
		rank = 4
	}
	if isGrease(name) {
		return
	}
	if rank > b.rank {
		b.name, b.version, b.rank = name, version, rank
	} else if name == b.name && len(version) > len(b.version) {
		b.version = version
	}
}

// isGrease recognises the meaningless brand that browsers add, whose letters
// are always "NotABrand" and whose punctuation and place change.
func isGrease(name string) bool {
	var letters [9]byte
	n := 0
	for i := range len(name) {
		if !isLetter(name[i]) {
			continue
		}
		if n == len(letters) {
			return false
		}
		letters[n] = name[i] | 0x20
		n++
	}
	return string(letters[:n]) == "notabrand"
}

// eachBrand reads a Sec-CH-UA list, `"Chromium";v="126", "Not/A)Brand";v="8"`.
// It stops where the text is no such list.
func eachBrand(list string, fn func(name, version string)) {
	for range maxBrands {
		list = strings.TrimLeft(list, " \t,")
		name, rest, ok := quoted(list)
		if !ok {
			return
		}
		version := ""
		for strings.HasPrefix(rest, ";") {
			param := strings.TrimLeft(rest[1:], " ")
			value, after, ok := quoted(strings.TrimPrefix(param, "v="))
			if !ok {
				return
			}
			if strings.HasPrefix(param, "v=") {
				version = value
			}
			rest = after
		}
		fn(name, version)
		list = rest
	}
}

// quoted reads an RFC 8941 string at the start of s.
func quoted(s string) (text, rest string, ok bool) {
	if s == "" || s[0] != '"' {
		return "", "", false
	}
	if end := strings.IndexAny(s[1:], `"\`); end >= 0 && s[1+end] == '"' {
		return s[1 : 1+end], s[2+end:], true
	}
	var b []byte
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
			if i == len(s) {
				return "", "", false
			}
			b = append(b, s[i])
		case '"':
			return string(b), s[i+1:], true
		default:
			b = append(b, s[i])
		}
	}
	return "", "", false
}

// hintString is a header's one string. Some proxies strip the quotes.
func hintString(h string) string {
	h = strings.TrimSpace(h)
	if text, _, ok := quoted(h); ok {
		return text
	}
	if strings.ContainsAny(h, `"\`) {
		return ""
	}
	return h
}

// windowsVersion maps the hint to the name people know.
// https://learn.microsoft.com/microsoft-edge/web-platform/how-to-detect-win11
func windowsVersion(hint string) string {
	major, minor, _ := strings.Cut(hint, ".")
	n, err := strconv.Atoi(major)
	switch {
	case err != nil:
		return "" // absent or no version: the agent's own word stays
	case n >= 13:
		return "11"
	case n >= 1:
		return "10"
	}
	minor, _, _ = strings.Cut(minor, ".")
	switch minor {
	case "1":
		return "7"
	case "2":
		return "8"
	case "3":
		return "8.1"
	}
	return ""
}

// shortVersion drops trailing zero parts: 14.5.0 is 14.5, 13.0.0 is 13. What
// is no version is none.
func shortVersion(v string) string {
	if v = versionOf(v); strings.IndexByte(v, '_') >= 0 {
		return ""
	}
	for strings.HasSuffix(v, ".0") {
		v = strings.TrimSuffix(v, ".0")
	}
	if v == "0" {
		return ""
	}
	return v
}
