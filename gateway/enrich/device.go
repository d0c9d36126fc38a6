package enrich

import (
	"strings"

	"github.com/mssola/useragent"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// The values of event.Device.Type.
const (
	typeDesktop  = "desktop"
	typeMobile   = "mobile"
	typeTablet   = "tablet"
	typeTV       = "tv"
	typeConsole  = "console"
	typeWearable = "wearable"
	typeBot      = "bot"
	typeOther    = "other"
)

// readDevice reads a user agent of at most memo.MaxAgent bytes. mssola/useragent
// splits it and knows systems and models; the tables below give products the
// names of uap-core and know those that mssola takes for Chrome or Safari.
func readDevice(ua string) event.Device {
	var d event.Device
	if ua == "" {
		return d
	}
	parsed := useragent.New(ua)
	d.OS, d.OSVersion = readSystem(ua, parsed)
	d.Type = readType(ua, d.OS)
	d.Browser, d.BrowserVersion = readBrowser(ua, d.OS, parsed)
	d.Model = readModel(ua, parsed)
	d.Vendor = vendorOf(d.Model, d.OS)
	if d.Type == typeOther && parsed.Mobile() {
		d.Type = typeMobile
	}
	d.OS, d.OSVersion = memo.Cut(d.OS, memo.MaxName), memo.Cut(d.OSVersion, memo.MaxName)
	d.Browser, d.BrowserVersion = memo.Cut(d.Browser, memo.MaxName), memo.Cut(d.BrowserVersion, memo.MaxName)
	d.Model = memo.Cut(d.Model, memo.MaxName)
	return d
}

// readSystem is the uap-core family of the system and its version.
func readSystem(ua string, parsed *useragent.UserAgent) (name, version string) {
	for _, s := range [...]struct{ mark, family, versionAfter string }{
		{"Windows Phone", "Windows Phone", "Windows Phone "},
		{"Apple TV", "tvOS", "OS "},
		{"AppleTV", "tvOS", "OS "},
		{"Watch OS", "watchOS", "Watch OS "},
		{"iPhone", "iOS", "OS "},
		{"iPad", "iOS", "OS "},
		{"iPod", "iOS", "OS "},
		{"KAIOS", "KaiOS", "KAIOS/"},
		{"HarmonyOS", "HarmonyOS", "HarmonyOS "},
		{"OpenHarmony", "HarmonyOS", "OpenHarmony "},
		{"Tizen", "Tizen", "Tizen "},
		{"Web0S", "webOS", "Web0S "},
		{"webOS", "webOS", "webOS/"},
		{"PlayStation", "PlayStation", ""},
		{"Nintendo", "Nintendo", ""},
		{"Android", "Android", "Android "},
		{"Mac OS X", "Mac OS X", "Mac OS X "},
		{"Macintosh", "Mac OS X", ""},
		{"CrOS", "Chrome OS", ""},
		{"SMART-TV", "Linux", ""},
		{"Roku", "Roku", "Roku/DVP-"},
	} {
		if strings.Contains(ua, s.mark) {
			return s.family, strings.ReplaceAll(versionAfter(ua, s.versionAfter), "_", ".")
		}
	}
	if strings.Contains(ua, "Windows") {
		if info := parsed.OSInfo(); info.Name == "Windows" && len(info.Version) <= 8 {
			return "Windows", info.Version
		}
		return "Windows", ""
	}
	for _, distro := range [...]string{"Ubuntu", "Fedora", "Debian", "FreeBSD", "OpenBSD", "NetBSD"} {
		if strings.Contains(ua, distro) {
			return distro, versionAfter(ua, distro+"/")
		}
	}
	if strings.Contains(ua, "Linux") || strings.Contains(ua, "X11") {
		return "Linux", ""
	}
	return "", ""
}

func isLinux(system string) bool {
	switch system {
	case "Linux", "Ubuntu", "Fedora", "Debian", "Tizen", "webOS", "Roku":
		return true
	}
	return false
}

func isDesktop(system string) bool {
	switch system {
	case "Windows", "Mac OS X", "Chrome OS", "Linux", "Ubuntu", "Fedora", "Debian", "FreeBSD", "OpenBSD", "NetBSD":
		return true
	}
	return false
}

// readType is the kind of machine. Order matters: a television also says
// Android, a tablet also says Mobile.
func readType(ua, system string) string {
	has := func(marks ...string) bool {
		for _, m := range marks {
			if strings.Contains(ua, m) {
				return true
			}
		}
		return false
	}
	mobile := has("Mobile", "Mobi/")
	switch {
	case system == "tvOS", system == "Roku",
		has("SMART-TV", "SmartTV", "Smart TV", "HbbTV", "NetCast", "BRAVIA", "GoogleTV", "Google TV", "Android TV",
			"CrKey", "VIDAA", "Viera", "; AFT", "SHIELD Android", "MiTV", "MIBOX", "AOSP TV", "DTV"),
		system == "webOS" && !mobile,
		system == "Tizen" && has("TV"):
		return typeTV
	case has("PlayStation", "Xbox", "Nintendo"):
		return typeConsole
	case system == "watchOS", has("Apple Watch", "Wear OS", "SM-R8", "SM-R9", "; Watch"):
		return typeWearable
	case has("iPad", "Tablet", "Kindle", "PlayBook", "SM-T", "SM-X", "KFTT", "KFOT", "KFJW", "KFTH", "KFAR", "KFME", "KFFO", "KFMA", "KFTR", "KFON"):
		return typeTablet
	case system == "Android" && !mobile && !has("Opera Mini"):
		return typeTablet // Google's rule: a phone's agent says Mobile, a tablet's does not
	case system == "iOS", system == "Android", system == "Windows Phone", system == "KaiOS", mobile,
		has("Opera Mini", "Opera Mobi", "BlackBerry", "BB10", "Symbian", "J2ME", "MIDP"):
		return typeMobile
	case isDesktop(system):
		return typeDesktop
	}
	return typeOther
}

// browserMark is a product token and the family it gives away, on phones and
// tablets where that has a name of its own.
type browserMark struct{ token, family, mobile string }

// readBrowser finds the most telling product token. Order matters: nearly all
// of them also say Chrome and Safari.
func readBrowser(ua, system string, parsed *useragent.UserAgent) (name, version string) {
	phone := system == "Android" || system == "iOS" || system == "Windows Phone"
	for _, b := range [...]browserMark{
		{"HeadlessChrome/", "HeadlessChrome", ""},
		{"Instagram ", "Instagram", ""},
		{"FBAV/", "Facebook", ""},
		{"FBAN/", "Facebook", ""},
		{"Snapchat/", "Snapchat", ""},
		{"Pinterest/", "Pinterest", ""},
		{"LinkedInApp", "LinkedIn", ""},
		{"musical_ly", "TikTok", ""},
		{"BytedanceWebview", "TikTok", ""},
		{"MicroMessenger/", "WeChat", ""},
		{"KAKAOTALK", "KakaoTalk", ""},
		{" Line/", "LINE", ""},
		{"GSA/", "Google", ""},
		{"EdgA/", "Edge Mobile", ""},
		{"EdgiOS/", "Edge Mobile", ""},
		{"Edg/", "Edge", "Edge Mobile"},
		{"Edge/", "Edge", "Edge Mobile"},
		{"OPT/", "Opera Touch", ""},
		{"OPiOS/", "Opera Mini", ""},
		{"Opera Mini/", "Opera Mini", ""},
		{"OPR/", "Opera", "Opera Mobile"},
		{"OPX/", "Opera GX", ""},
		{"SamsungBrowser/", "Samsung Internet", ""},
		{"YaBrowser/", "Yandex Browser", ""},
		{"Vivaldi/", "Vivaldi", ""},
		{"Brave/", "Brave", ""},
		{"Whale/", "Whale", ""},
		{"UCBrowser/", "UC Browser", ""},
		{"MiuiBrowser/", "MiuiBrowser", ""},
		{"HuaweiBrowser/", "Huawei Browser", ""},
		{"MQQBrowser/", "QQ Browser Mobile", ""},
		{"QQBrowser/", "QQ Browser", ""},
		{"HeyTapBrowser/", "HeyTap Browser", ""},
		{"VivoBrowser/", "Vivo Browser", ""},
		{"Puffin/", "Puffin", ""},
		{"Silk/", "Amazon Silk", ""},
		{"DuckDuckGo/", "DuckDuckGo Mobile", ""},
		{"Ddg/", "DuckDuckGo", "DuckDuckGo Mobile"},
		{"Ecosia", "Ecosia", ""},
		{"Avast/", "Avast Secure Browser", ""},
		{"Focus/", "Firefox Focus", ""},
		{"FxiOS/", "Firefox iOS", ""},
		{"CriOS/", "Chrome Mobile iOS", ""},
		{"Electron/", "Electron", ""},
		{"SeaMonkey/", "SeaMonkey", ""},
		{"PaleMoon/", "Pale Moon", ""},
		{"Chromium/", "Chromium", ""},
	} {
		if strings.Contains(ua, b.token) {
			if phone && b.mobile != "" {
				b.family = b.mobile
			}
			return b.family, versionAfter(ua, b.token)
		}
	}
	switch {
	case strings.Contains(ua, "IEMobile/"):
		return "IE Mobile", versionAfter(ua, "IEMobile/")
	case strings.Contains(ua, "MSIE "):
		return "IE", versionAfter(ua, "MSIE ")
	case strings.Contains(ua, "Trident/7"):
		return "IE", "11"
	case strings.Contains(ua, "Firefox/"):
		if system == "Android" {
			return "Firefox Mobile", versionAfter(ua, "Firefox/")
		}
		return "Firefox", versionAfter(ua, "Firefox/")
	case strings.Contains(ua, "Chrome/"):
		v := versionAfter(ua, "Chrome/")
		switch {
		case strings.Contains(ua, "; wv)"):
			return "Chrome Mobile WebView", v
		case system == "Android":
			return "Chrome Mobile", v
		}
		return "Chrome", v
	case system == "iOS" && strings.Contains(ua, "Safari/"):
		return "Mobile Safari", versionAfter(ua, "Version/")
	case system == "iOS" && strings.Contains(ua, "AppleWebKit/"):
		return "Mobile Safari UI/WKWebView", ""
	case system == "Mac OS X" && strings.Contains(ua, "Safari/"):
		return "Safari", versionAfter(ua, "Version/")
	case system == "Android" && strings.Contains(ua, "Version/"):
		return "Android", versionAfter(ua, "Version/")
	}
	name, version = parsed.Browser()
	switch name {
	case "Mozilla":
		return "", "" // what every agent begins with is no name
	case "Opera":
		version = orElse(versionAfter(ua, "Version/"), version)
	}
	return name, memo.Cut(version, memo.MaxName)
}

// versionAfter is the run of digits, dots and underscores behind a token; ""
// when there is none. An empty token finds nothing.
func versionAfter(ua, token string) string {
	i := strings.Index(ua, token)
	if i < 0 || token == "" {
		return ""
	}
	rest := ua[i+len(token):]
	n := 0
	for n < len(rest) && (rest[n] >= '0' && rest[n] <= '9' || n > 0 && (rest[n] == '.' || rest[n] == '_')) {
		n++
	}
	return strings.TrimRight(rest[:n], "._")
}

// readModel is the model where the agent tells it.
func readModel(ua string, parsed *useragent.UserAgent) string {
	for _, apple := range [...]string{"iPhone", "iPad", "iPod", "Apple TV", "AppleTV"} {
		if strings.Contains(ua, apple) {
			return apple
		}
	}
	for _, console := range [...]string{"PlayStation 5", "PlayStation 4", "PlayStation Vita", "Xbox Series X", "Xbox One", "Xbox", "Nintendo Switch", "Nintendo 3DS", "Nintendo WiiU"} {
		if strings.Contains(ua, console) {
			return console
		}
	}
	if !strings.Contains(ua, "Android") || strings.Contains(ua, "Windows Phone") { // which only says Android
		return ""
	}
	model := androidModel(ua)
	if model == "" {
		model = parsed.Model()
	}
	// K is what a browser that hides the model writes; the rest are words of
	// the comment that are no model.
	switch model {
	case "K", "Mobile", "Tablet", "wv", "U", "Linux", "Android":
		return ""
	}
	if strings.HasPrefix(model, "rv:") || strings.HasPrefix(model, "Opera ") {
		return ""
	}
	return model
}

// androidModel is the part of the comment behind the Android version, which
// may come behind a language: "(Linux; U; Android 4.4.2; en-us; SM-T531 Build/KOT49H)".
func androidModel(ua string) string {
	_, rest, found := strings.Cut(ua, "Android")
	if !found {
		return ""
	}
	rest, _, _ = strings.Cut(rest, ")")
	_, rest, found = strings.Cut(rest, ";")
	for found || rest != "" {
		var part string
		part, rest, found = strings.Cut(rest, ";")
		part = strings.TrimSpace(part)
		if i := strings.Index(part, " Build/"); i >= 0 {
			part = part[:i]
		} else if strings.HasPrefix(part, "Build/") {
			return ""
		}
		if isLanguage(part) {
			continue
		}
		return part
	}
	return ""
}

// isLanguage recognises en, en-us and zh_CN.
func isLanguage(s string) bool {
	if len(s) != 2 && (len(s) != 5 || s[2] != '-' && s[2] != '_') {
		return false
	}
	for i := range len(s) {
		c := s[i] | 0x20
		if i != 2 && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// vendorOf is who made a model, by how the maker names models.
func vendorOf(model, system string) string {
	switch system {
	case "Mac OS X", "iOS", "tvOS", "watchOS":
		return "Apple"
	}
	for _, v := range [...]struct{ prefix, vendor string }{
		{"SM-", "Samsung"}, {"GT-", "Samsung"}, {"SAMSUNG", "Samsung"}, {"SCH-", "Samsung"}, {"SGH-", "Samsung"}, {"Galaxy", "Samsung"},
		{"Pixel", "Google"}, {"Nexus", "Google"}, {"Chromecast", "Google"},
		{"Redmi", "Xiaomi"}, {"POCO", "Xiaomi"}, {"Mi ", "Xiaomi"}, {"MI ", "Xiaomi"}, {"M20", "Xiaomi"}, {"21", "Xiaomi"}, {"22", "Xiaomi"}, {"23", "Xiaomi"}, {"24", "Xiaomi"}, {"25", "Xiaomi"},
		{"HUAWEI", "Huawei"}, {"ANE-", "Huawei"}, {"ELE-", "Huawei"}, {"VOG-", "Huawei"}, {"LYA-", "Huawei"}, {"MAR-", "Huawei"}, {"JNY-", "Huawei"}, {"STK-", "Huawei"}, {"POT-", "Huawei"},
		{"HONOR", "Honor"}, {"Honor", "Honor"},
		{"ONEPLUS", "OnePlus"}, {"OnePlus", "OnePlus"}, {"AC200", "OnePlus"}, {"LE21", "OnePlus"}, {"KB200", "OnePlus"}, {"IN20", "OnePlus"},
		{"CPH", "OPPO"}, {"OPPO", "OPPO"}, {"PGEM", "OPPO"},
		{"RMX", "Realme"}, {"realme", "Realme"},
		{"vivo", "Vivo"}, {"V20", "Vivo"}, {"V21", "Vivo"}, {"V22", "Vivo"},
		{"moto", "Motorola"}, {"Moto", "Motorola"}, {"XT1", "Motorola"}, {"XT2", "Motorola"},
		{"Nokia", "Nokia"}, {"TA-1", "Nokia"}, {"HMD", "HMD"},
		{"XQ-", "Sony"}, {"SO-", "Sony"}, {"SOV", "Sony"}, {"Xperia", "Sony"}, {"BRAVIA", "Sony"}, {"PlayStation", "Sony"},
		{"LM-", "LG"}, {"LG-", "LG"}, {"LGE", "LG"}, {"ASUS", "Asus"}, {"ZenFone", "Asus"},
		{"Lenovo", "Lenovo"}, {"TB-", "Lenovo"}, {"TECNO", "Tecno"}, {"Infinix", "Infinix"}, {"itel", "Itel"},
		{"A063", "Nothing"}, {"A065", "Nothing"}, {"Fairphone", "Fairphone"}, {"FP", "Fairphone"}, {"CUBOT", "Cubot"}, {"ZTE", "ZTE"}, {"Blade", "ZTE"},
		{"AFT", "Amazon"}, {"KF", "Amazon"}, {"Kindle", "Amazon"}, {"SHIELD", "Nvidia"},
		{"Xbox", "Microsoft"}, {"Lumia", "Microsoft"}, {"Nintendo", "Nintendo"},
	} {
		if strings.HasPrefix(model, v.prefix) {
			return v.vendor
		}
	}
	return ""
}
