package device

import (
	"fmt"
	"strings"

	"github.com/reuna/reuna/identity/event"
)

// brands are the families of client hints' brands.
type brands map[string]family

type family struct{ name, phone, where string }

func readBrands() (brands, error) {
	text, err := readRules("brands.txt")
	if err != nil {
		return nil, err
	}
	b := brands{}
	for _, l := range lines(text) {
		brand, names, ok := strings.Cut(l.text, " = ")
		if !ok {
			return nil, fmt.Errorf("device: brands.txt line %d: want \"Brand = family\" or \"Brand = family | family on telephones\", not %q", l.number, l.text)
		}
		name, phone, ok := strings.Cut(names, " | ")
		if !ok {
			phone = name
		}
		b[brand] = family{name, phone, fmt.Sprintf("brands.txt line %d: %s", l.number, brand)}
	}
	return b, nil
}

// family is a brand's family on a system.
func (b brands) family(brand string, phone bool) (name, where string) {
	f, ok := b[brand]
	switch {
	case !ok:
		return brand, "the brand that the client hints name"
	case phone:
		return f.phone, f.where
	}
	return f.name, f.where
}

// apply puts the hints over what the user agent's text let guess. Since
// browsers froze that text, the hints alone know the real system's version
// and model.
func (r *Reader) apply(c *Claims, d *event.Device, w *reasons) {
	if c.Touch && d.OS == "Mac OS X" && c.Platform == "" {
		r.asPad(d, w)
	}
	c.system(d, w)
	r.brand(c, d, w)
	if c.Model != "" {
		d.Model = c.Model
		w.add("model", d.Model, "Sec-CH-UA-Model")
		r.vendor(d, w)
	}
	c.shape(d, w)
}

// asPad turns what says Mac into the iPad it is: since iPadOS 13 Safari asks
// for desktop pages and gives no other sign than its touch points.
func (r *Reader) asPad(d *event.Device, w *reasons) {
	const rule = "maxTouchPoints: no Mac has a touch screen"
	d.OS, d.OSVersion = "iOS", ""
	d.Type, d.Vendor, d.Model = Tablet, "Apple", "iPad"
	if d.Browser == "Safari" {
		d.Browser = "Mobile Safari"
	}
	w.add("os", d.OS, rule)
	w.add("type", d.Type, rule)
	w.add("model", d.Model, rule)
}

// system takes the platform's name and version over the text's.
func (c *Claims) system(d *event.Device, w *reasons) {
	name, version := d.OS, ""
	switch c.Platform {
	case "", "Unknown":
		return
	case "Windows":
		name, version = "Windows", windowsVersion(c.PlatformVersion)
	case "macOS", "Mac OS X":
		name, version = "Mac OS X", shortVersion(c.PlatformVersion)
	case "Chrome OS", "Chromium OS":
		name, version = "Chrome OS", shortVersion(c.PlatformVersion)
	case "Linux":
		if !isLinux(d.OS) {
			name = "Linux"
		}
	case "Android":
		// What is built on Android says so in its hints.
		if d.OS == "HarmonyOS" || d.OS == "Chromecast" || d.OS == "Tizen" {
			return
		}
		name, version = "Android", shortVersion(c.PlatformVersion)
	case "iOS":
		name, version = "iOS", shortVersion(c.PlatformVersion)
	default:
		if len(d.OS) != 0 && !isLinux(d.OS) {
			return
		}
		name, version = c.Platform, shortVersion(c.PlatformVersion)
	}
	if name != d.OS {
		d.OS, d.OSVersion = name, ""
		if name != "iOS" && name != "Mac OS X" && d.Vendor == "Apple" {
			d.Vendor, d.Model = "", ""
		}
		w.add("os", name, "Sec-CH-UA-Platform")
	}
	if version != "" && version != d.OSVersion {
		d.OSVersion = version
		w.add("os version", version, "Sec-CH-UA-Platform-Version")
	}
}

// brand takes the brand over an engine's name.
func (r *Reader) brand(c *Claims, d *event.Device, w *reasons) {
	if c.Brand == "" {
		return
	}
	name, where := r.brands.family(c.Brand, c.Mobile || !c.MobileSaid && d.Type == Mobile)
	if name != d.Browser && !isGenericBrowser(d.Browser) {
		return
	}
	if name == "Chromium" && d.Browser != "" {
		name = d.Browser // an engine's brand says less than the text
	}
	version := versionOf(c.Version)
	same := name == d.Browser || isGenericBrowser(name)
	if name != d.Browser {
		d.Browser = name
		w.add("browser", name, where)
	}
	if same && (version == "" || strings.HasPrefix(d.BrowserVersion, version+".")) {
		return // the text has it in full
	}
	d.BrowserVersion = version
	w.add("browser version", version, "Sec-CH-UA, Sec-CH-UA-Full-Version-List")
}

// shape takes what the hints say of the machine's form. They do not know of
// televisions and consoles, and say Mobile of much that is none.
func (c *Claims) shape(d *event.Device, w *reasons) {
	was := d.Type
	defer func() {
		if d.Type != was {
			w.add("type", d.Type, "Sec-CH-UA-Form-Factors, Sec-CH-UA-Mobile")
		}
	}()
	if d.Type == TV || d.Type == Console || d.Type == Wearable {
		return
	}
	if form := formType(c.FormFactor); form != "" {
		d.Type = form
		return
	}
	if !c.MobileSaid {
		return
	}
	switch {
	case c.Mobile && (d.Type == Desktop || d.Type == Other || d.Type == ""):
		d.Type = Mobile
	case !c.Mobile && (d.OS == "Android" || d.OS == "HarmonyOS"):
		d.Type = Tablet
	case !c.Mobile && (d.Type == "" || d.Type == Other) && isDesktop(d.OS):
		d.Type = Desktop
	}
}

func isLinux(system string) bool {
	switch system {
	case "Linux", "Ubuntu", "Fedora", "Debian", "CentOS", "Red Hat", "SUSE", "Linux Mint", "PCLinuxOS", "Puppy", "Mandriva", "Mageia", "Slackware", "Arch Linux", "Gentoo",
		"Tizen", "webOS", "Roku", "Chromecast", "FreeBSD", "OpenBSD", "NetBSD":
		return true
	}
	return false
}

func isDesktop(system string) bool {
	return system == "Windows" || system == "Mac OS X" || system == "Chrome OS" || isLinux(system) && system != "Tizen" && system != "webOS" && system != "Roku" && system != "Chromecast"
}

// isGenericBrowser: these names say no more than "built on Chromium", which
// is all that the frozen user agent text of most products says.
func isGenericBrowser(name string) bool {
	switch name {
	case "", "Chrome", "Chrome Mobile", "Chromium", "Chrome Mobile WebView", "Android":
		return true
	}
	return false
}
