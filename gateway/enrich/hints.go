package enrich

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
}

// maxHints bounds all hint headers of a request together, and
// context.userAgentData, in bytes: three times what browsers send. Longer ones
// are not read, because the cache of agents would have to keep them.
const maxHints = 1024

// bound drops headers that are too long to be a browser's.
func (h *Hints) bound() {
	if len(h.UA)+len(h.Mobile)+len(h.Platform)+len(h.PlatformVersion)+len(h.Model)+len(h.FullVersionList)+len(h.Arch) > maxHints {
		*h = Hints{}
	}
}

// claims is what client hints say, from headers or from userAgentData.
type claims struct {
	mobile, mobileSaid bool
	platform           string
	platformVersion    string
	model              string
	brand              string // the most telling one; never GREASE
	version            string // of brand, the fullest that was given
	headless           bool
}

// claimsOf reads the headers, and over them what the page's script got from
// navigator.userAgentData.
func claimsOf(h Hints, data event.Value) claims {
	c := claims{
		platform:        hintString(h.Platform),
		platformVersion: hintString(h.PlatformVersion),
		model:           hintString(h.Model),
	}
	switch strings.TrimSpace(h.Mobile) {
	case "?1":
		c.mobile, c.mobileSaid = true, true
	case "?0":
		c.mobileSaid = true
	}
	var brands brandChoice
	eachBrand(h.UA, brands.offer)
	eachBrand(h.FullVersionList, brands.offer)

	data.Each(func(key string, v event.Value) bool {
		switch key {
		case "mobile":
			if b, ok := v.Bool(); ok {
				c.mobile, c.mobileSaid = b, true
			}
		case "platform":
			c.platform = orElse(v.Text(), c.platform)
		case "platformVersion":
			c.platformVersion = orElse(v.Text(), c.platformVersion)
		case "model":
			c.model = orElse(v.Text(), c.model)
		case "brands", "fullVersionList":
			v.Items(func(b event.Value) bool {
				brands.offer(b.Get("brand").Text(), b.Get("version").Text())
				return true
			})
		}
		return true
	})
	c.brand, c.version, c.headless = brands.name, brands.version, brands.headless
	if full := data.Get("uaFullVersion").Text(); len(full) > len(c.version) && c.brand != "" {
		c.version = full
	}
	c.platform, c.platformVersion = memo.Cut(c.platform, memo.MaxName), memo.Cut(c.platformVersion, memo.MaxName)
	c.model, c.brand, c.version = memo.Cut(c.model, memo.MaxName), memo.Cut(c.brand, memo.MaxName), memo.Cut(c.version, memo.MaxName)
	return c
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
	case "HeadlessChrome":
		b.headless = true
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
	letters := make([]byte, 0, 16)
	for i := 0; i < len(name) && len(letters) < 12; i++ {
		c := name[i] | 0x20
		if c >= 'a' && c <= 'z' {
			letters = append(letters, c)
		}
	}
	return string(letters) == "notabrand"
}

// eachBrand reads a Sec-CH-UA list, `"Chromium";v="126", "Not/A)Brand";v="8"`.
// It stops where the text is no such list.
func eachBrand(list string, fn func(name, version string)) {
	for {
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

// apply puts the hints over what the user agent's text let guess. Since
// browsers froze that text, the hints alone know the real system's version
// and model.
func (c *claims) apply(d *event.Device) {
	switch c.platform {
	case "", "Unknown":
	case "Windows":
		d.OS, d.OSVersion = "Windows", orElse(windowsVersion(c.platformVersion), d.OSVersion)
	case "Linux":
		if !isLinux(d.OS) {
			d.OS, d.OSVersion = "Linux", ""
		}
	default:
		family := systemFamily(c.platform)
		if family != d.OS {
			d.OS, d.OSVersion = family, ""
		}
		d.OSVersion = orElse(shortVersion(c.platformVersion), d.OSVersion)
	}

	if name := brandFamily(c.brand, d.OS, c.mobile); name != "" && (isGenericBrowser(d.Browser) || name == d.Browser) {
		if name != d.Browser || len(c.version) > 0 && !strings.HasPrefix(d.BrowserVersion, c.version+".") {
			d.BrowserVersion = c.version
		}
		d.Browser = name
	}

	if c.model != "" {
		d.Model, d.Vendor = c.model, vendorOf(c.model, d.OS)
	}
	if c.mobileSaid {
		switch {
		case c.mobile && (d.Type == typeDesktop || d.Type == typeOther || d.Type == ""):
			d.Type = typeMobile
		case !c.mobile && d.OS == "Android" && d.Type != typeTV:
			d.Type = typeTablet
		case !c.mobile && (d.Type == "" || d.Type == typeOther) && (isDesktop(d.OS)):
			d.Type = typeDesktop
		}
	}
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

// shortVersion drops trailing zero parts: 14.5.0 is 14.5, 13.0.0 is 13.
func shortVersion(v string) string {
	for strings.HasSuffix(v, ".0") {
		v = strings.TrimSuffix(v, ".0")
	}
	if v == "0" {
		return ""
	}
	return v
}

// brandFamily is the uap-core family of a client hint's brand.
func brandFamily(brand, system string, mobile bool) string {
	phone := system == "Android"
	switch brand {
	case "":
		return ""
	case "Google Chrome":
		if phone {
			return "Chrome Mobile"
		}
		return "Chrome"
	case "Android WebView":
		return "Chrome Mobile WebView"
	case "Microsoft Edge":
		if phone || mobile {
			return "Edge Mobile"
		}
		return "Edge"
	case "Microsoft Edge WebView2":
		return "Edge"
	case "Opera", "Opera GX":
		if phone {
			return "Opera Mobile"
		}
		return "Opera"
	case "YaBrowser", "Yandex":
		return "Yandex Browser"
	}
	return brand
}

// isGenericBrowser: these names say no more than "built on Chromium", which
// is all that the frozen user agent text of most products says.
func isGenericBrowser(name string) bool {
	switch name {
	case "", "Chrome", "Chrome Mobile", "Chromium", "Chrome Mobile WebView":
		return true
	}
	return false
}
