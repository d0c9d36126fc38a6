package device

import (
	"net/url"
	"strings"
)

// namers are the functions that rules name in braces, for what no list of
// products can hold: programs that nobody has heard of, which name themselves.
func namers() map[string]namer {
	return map[string]namer{"crawler": crawlerName, "app": appName, "product": productName, "compatible": compatibleName, "token": tokenName, "nightly": nightlyName, "mail": mailName, "trial": trialName}
}

// robotWords are the words that robots call themselves by.
var robotWords = [...]string{"bot", "spider", "crawl", "scrape", "archiver", "indexer"}

// crawlerName is what a robot calls itself: the program with a version at the
// start of its agent, else what stands behind "compatible;", else the words
// around "bot", "crawler" or "spider" wherever they stand outside addresses.
func crawlerName(ua string) (name, version string) {
	if !isMozilla(ua) {
		name, version = phrase(headOf(ua))
		if !hasRobotWord(name) {
			// A telephone's name before that of the robot which poses as it.
			if robot, v := compatibleName(ua); robot != "" && hasRobotWord(robot) {
				return robot, v
			}
		}
		if name != "" && version != "" {
			return name, version
		}
	} else if name, version = compatibleName(ua); name != "" {
		return name, version
	}
	if name, version = robotPhrase(ua, false); name != "" {
		return name, version
	}
	return robotPhrase(ua, true)
}

// compatibleName is the program behind "compatible;", as robots write it.
func compatibleName(ua string) (name, version string) {
	i := indexFold(ua, "compatible;")
	if i < 0 {
		return "", ""
	}
	rest := ua[i+len("compatible;"):]
	if end := strings.IndexByte(rest, ')'); end >= 0 {
		rest = rest[:end]
	}
	browser := indexFold(rest, "msie") >= 0
	for part := range strings.SplitSeq(rest, ";") {
		part = strings.TrimSpace(part)
		if part == "" || isPlatform(part) {
			continue
		}
		name, version = phrase(part)
		switch {
		case name == "" || browser && !hasRobotWord(name) || version == "" && !hasRobotWord(name) && indexFold(ua, "http") < 0:
			continue
		case version != "" || !hasRobotWord(name) || indexFold(name, "bot") >= 0:
			return name, version
		}
		return robotPhrase(part, false)
	}
	return "", ""
}

// isMozilla says that an agent begins as all browsers' do.
func isMozilla(ua string) bool {
	return hasPrefixFold(ua, "Mozilla") || hasPrefixFold(ua, "Opera/") || hasPrefixFold(ua, "\"Mozilla")
}

// headOf is an agent up to its first comment, address or list.
func headOf(ua string) string {
	end := len(ua)
	for _, stop := range [...]string{"(", "http:", "https:", ";", ",", "<", "+http", "[", "|", " - ", "www."} {
		if i := strings.Index(ua[:end], stop); i > 0 {
			end = i
		}
	}
	return strings.TrimSpace(ua[:end])
}

// phrase splits "Name Of Program/1.2 more" into name and version. A name ends
// at a slash, at a version, or where the text ends.
func phrase(s string) (name, version string) {
	s = strings.Trim(s, " \t\"'+")
	if hasPrefixFold(s, "compatible ") {
		s = s[len("compatible "):]
	}
	if i := indexFold(s, "http:"); i >= 0 {
		s = s[:i]
	}
	if i := indexFold(s, "https:"); i >= 0 {
		s = s[:i]
	}
	end := len(s)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '/' || c == '@' || c == ':' && i+1 < len(s) && s[i+1] == ' ' {
			end = i
			break
		}
		if c == ' ' || c == '_' || c == '-' {
			word := s[i+1:]
			if len(word) > 1 && (word[0] == 'v' || word[0] == 'V') {
				word = strings.TrimPrefix(word[1:], ".")
			}
			if v := versionOf(word); v != "" && (c == ' ' || strings.IndexByte(v, '.') > 0) {
				end = i
				break
			}
		}
	}
	name = strings.Trim(s[:end], " -_,;.")
	if end < len(s) && s[end] == '@' && !hasRobotWord(name) {
		return "", "" // somebody's mailbox, which is no program's name
	}
	if end < len(s) && s[end] != '@' {
		version = dotted(versionAt(s, int32(end)))
	}
	if bare, v := attached(name); v != "" && version == "" {
		name, version = bare, v
	}
	for _, word := range [...]string{" Version", " version", " Ver.", " v"} {
		name = strings.TrimSuffix(name, word)
	}
	if len(name) < 2 || !isWord(name[0]) || !hasLetter(name) && version == "" {
		return "", ""
	}
	return name, version
}

// attached splits "Java1.6.0", a version of two parts or more without a sign
// before it.
func attached(name string) (bare, version string) {
	n := len(name)
	for n > 0 && (isDigit(name[n-1]) || name[n-1] == '.' || name[n-1] == '_') {
		n--
	}
	if n < 2 || !isLetter(name[n-1]) || strings.IndexByte(name[n:], '.') < 1 {
		return name, ""
	}
	return name[:n], dotted(name[n:])
}

func hasLetter(s string) bool {
	for i := range len(s) {
		if isLetter(s[i]) {
			return true
		}
	}
	return false
}

// isPlatform says that a part of a comment tells the machine and not the program.
func isPlatform(part string) bool {
	for _, p := range [...]string{"MSIE", "Windows", "Win32", "Win64", "Win98", "Win9", "WOW64", "Linux", "X11", "Macintosh", "Mac_", "Mac OS", "Intel Mac", "U", "I", "N", "en", "de", "fr", "Konqueror",
		"Trident", "SV1", ".NET", "GTB", "MSN", "AOL", "Q312461", "FunWebProducts", "unix", "i686", "x86", "iPhone", "iPad", "CPU ", "Android", "OS/2", "rv:", "Mozilla", "Netgem", "Nokia", "http", "AvantBrowser", "Maxthon"} {
		if strings.HasPrefix(part, p) && (len(p) > 2 || len(part) == len(p) || len(part) == 5 && (part[2] == '-' || part[2] == '_')) {
			return true
		}
	}
	return false
}

// robotPhrase finds the words around the first robot word outside addresses;
// mail says that the name of a mailbox will do.
func robotPhrase(ua string, mail bool) (name, version string) {
	for from := 0; from < len(ua); {
		at, n := nextRobotWord(ua, from)
		if at < 0 {
			return "", ""
		}
		start, end := at, at+n
		for start > 0 && isNameByte(ua[start-1]) {
			start--
		}
		for end < len(ua) && (isWord(ua[end]) || ua[end] == '_' || !mail && ua[end] == '-' && end+1 < len(ua) && isLetter(ua[end+1])) {
			end++
		}
		from = end
		if inAddress(ua, start, end) && !(mail && isMailbox(ua[end:])) || strings.EqualFold(ua[start:end], "robot") || strings.EqualFold(ua[start:end], "robots") {
			continue
		}
		version = dotted(versionAt(ua, int32(end)))
		// "Lipperhey Spider" is a name, "Spider" alone hardly one: the word
		// before belongs to it, and all of them where a version follows or a bot.
		all := version != "" || indexFold(ua[at:at+n], "bot") >= 0
		for start > 1 && ua[start-1] == ' ' && isNameByte(ua[start-2]) {
			word := start - 1
			for word > 0 && isNameByte(ua[word-1]) {
				word--
			}
			before := ua[word : start-1]
			if inAddress(ua, word, start-1) || strings.EqualFold(before, "compatible") || !hasLetter(before) {
				break
			}
			start = word
			if !all && !strings.EqualFold(before, "the") {
				break
			}
		}
		return strings.Trim(ua[start:end], " -"), version
	}
	return "", ""
}

// isMailbox says that what follows is the rest of a mailbox's name.
func isMailbox(rest string) bool {
	i := 0
	for i < len(rest) && isNameByte(rest[i]) {
		i++
	}
	return i < len(rest) && rest[i] == '@'
}

// nextRobotWord is the first robot word from a place on. A bot is one only
// where a word begins or ends with it: there are telephones of Cubot, and
// networks of Botswana.
func nextRobotWord(ua string, from int) (at, n int) {
	at = -1
	for _, w := range robotWords {
		for start := from; ; {
			i := indexFold(ua[start:], w)
			if i < 0 {
				break
			}
			i += start
			end := i + len(w)
			if w == "bot" && i > 0 && isLetter(ua[i-1]) && end < len(ua) && isLetter(ua[end]) {
				start = end
				continue
			}
			if at < 0 || i < at {
				at, n = i, len(w)
			}
			break
		}
	}
	return at, n
}

func hasRobotWord(s string) bool {
	at, _ := nextRobotWord(s, 0)
	return at >= 0
}

func isNameByte(c byte) bool { return isWord(c) || c == '_' || c == '-' || c == '!' }

// inAddress says that a place is part of an address of the web or of mail.
func inAddress(ua string, start, end int) bool {
	from := strings.LastIndexAny(ua[:start], " (;,<[") + 1
	before := ua[from:start]
	if strings.IndexByte(before, '@') >= 0 || strings.Contains(before, "://") {
		return true
	}
	if i := strings.LastIndexByte(before, '.'); i >= 0 && i+1 < len(ua)-from && isLetter(ua[from+i+1]) {
		return true
	}
	return end < len(ua) && (ua[end] == '@' || ua[end] == '.' && end+1 < len(ua) && isLetter(ua[end+1]))
}

// appName is what a program of a telephone calls itself before its version:
// "Weather-iPhone/2.1 CFNetwork/…".
func appName(ua string) (name, version string) {
	if isMozilla(ua) {
		return "", ""
	}
	if strings.HasPrefix(ua, "CFNetwork") {
		return "CFNetwork", dotted(versionAt(ua, int32(len("CFNetwork"))))
	}
	name, version = phrase(headOf(ua))
	for _, suffix := range [...]string{"-iPhone", "-iPad", "-iOS"} {
		name = strings.TrimSuffix(name, suffix)
	}
	if strings.IndexByte(name, '%') >= 0 {
		if plain, err := url.PathUnescape(name); err == nil {
			name = plain
		}
	}
	return name, version
}

// tokenName is the last product of an agent that begins as a browser's does and
// that no rule knows: an app, or a browser built on another's engine.
func tokenName(ua string) (name, version string) {
	depth, windows := 0, strings.Contains(ua, "Windows NT")
	for i := 0; i < len(ua); i++ {
		switch c := ua[i]; {
		case c == '(':
			depth++
		case c == ')':
			depth--
		case depth > 0 || !isLetter(c) || i > 0 && ua[i-1] != ' ' && ua[i-1] != ')':
		default:
			end := i
			for end < len(ua) && (isWord(ua[end]) || ua[end] == '_' || ua[end] == '-' || ua[end] == '.' || ua[end] == '!') {
				end++
			}
			if end+1 < len(ua) && ua[end] == '/' && end-i > 2 && end-i < 32 && strings.Count(ua[i:end], ".") < 2 && !isEngine(ua[i:end]) {
				v := versionOf(ua[end+1:])
				// Some add-ons write a random word with a version like Chrome's.
				if v != "" && !(windows && strings.Count(v, ".") == 3) {
					name, version = ua[i:end], dotted(v)
				}
			}
			i = end - 1
		}
	}
	return name, version
}

// mailName tells Apple's mail program, whose agent ends where Safari's goes on.
func mailName(ua string) (name, version string) {
	if !strings.HasSuffix(strings.TrimSpace(ua), "(KHTML, like Gecko)") {
		return "", ""
	}
	_, rest, _ := strings.Cut(ua, "AppleWebKit/")
	return "Apple Mail", dotted(versionOf(rest))
}

// trialName tells Firefox's versions from before a release, 4.0b7 and 6.0a2.
func trialName(ua string) (name, version string) {
	_, rest, _ := strings.Cut(ua, "Firefox/")
	version = versionOf(rest)
	if rest = rest[len(version):]; version == "" || len(rest) < 2 || !isDigit(rest[1]) {
		return "", ""
	}
	switch rest[0] {
	case 'a':
		return "Firefox Alpha", dotted(version)
	case 'b':
		return "Firefox Beta", dotted(version)
	}
	return "", ""
}

// nightlyName tells the builds of WebKit from before a release, which put a
// plus behind their engine's version.
func nightlyName(ua string) (name, version string) {
	_, rest, _ := strings.Cut(ua, "AppleWebKit/")
	version = versionOf(rest)
	if version == "" || !strings.HasPrefix(rest[len(version):], "+ ") {
		return "", ""
	}
	return "WebKit Nightly", dotted(version)
}

// isEngine says that a product token tells the engine, the platform or the
// network, and no product.
func isEngine(token string) bool {
	var buf [32]byte
	n := copy(buf[:], token)
	for i := range buf[:n] {
		buf[i] = lower(buf[i])
	}
	switch string(buf[:n]) {
	case "mozilla", "applewebkit", "webkit", "khtml", "gecko", "chrome", "chromium", "safari", "version", "mobile", "firefox", "presto", "trident", "goanna", "like",
		"suse", "opensuse", "mandriva", "centos", "red", "hat", "mint", "gentoo", "slackware", "mnenhy", "multizilla", "stumbleupon", "build", "iphone", "ipad", "ipod", "ubuntu", "kubuntu", "xubuntu", "crmo", "debian", "fedora", "linux", "android", "ios", "windows", "release", "java", "profile", "configuration", "nettype", "language", "channel", "region",
		"jssdk", "xweb", "mmwebsdk", "mmwebid", "tbs", "abi", "process", "covc", "sa", "bropp", "yowser", "core", "electron", "cordova", "nwjs", "qtwebengine", "qt", "webview",
		"browser", "desktop", "pixel", "screen", "device", "config", "agency", "herring", "viewer", "udid", "ttwebview", "app_version", "appname", "bytelocale", "u2", "uws", "colorscheme",
		"statusbarheight", "simpleuiswitch", "qqtheme", "webp", "inmagicwin", "gpversion", "fban", "fb_iab", "slbchan", "qbcore", "hmscore", "gmscore", "php", "python", "webos", "tizen", "kaios", "crkey", "harmonyos", "openharmony", "symbianos", "bada", "meego", "series60", "series40", "blackberry", "darwin",
		"devicetype", "large", "vodafone", "wap", "midp", "smarttv", "ce-html", "hbbtv", "adblock", "gtb", "cfnetwork", "libcurl", "openssl", "nvidia", "aol", "msn", "enusmsn", "rv", "kot49h":
		return true
	}
	return false
}

// productName is the name of a program that is no browser: "Name/1.2".
func productName(ua string) (name, version string) {
	head := headOf(ua)
	name, version = phrase(head)
	for _, phone := range [...]string{"Nokia", "SonyEricsson", "SAMSUNG", "LG-", "LGE", "MOT-", "HUAWEI", "ZTE", "Pantech", "Alcatel", "SIE-", "DoCoMo", "KDDI", "Dalvik", "BlackBerry", "SEC-", "Vodafone", "J-PHONE", "SoftBank", "PHILIPS", "Panasonic", "Sharp", "SCH-", "SPH-"} {
		if hasPrefixFold(name, phone) {
			return "", ""
		}
	}
	if len(name) > 40 || version == "" && len(name) > 16 && !strings.ContainsAny(ua, " /(") {
		return "", "" // so long a text of one word names no program
	}
	return name, version
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

// indexFold is where a lower case text begins in s, whatever its case.
func indexFold(s, lower string) int {
	if lower == "" {
		return 0
	}
	first := lower[0]
	for i := 0; i+len(lower) <= len(s); i++ {
		c := s[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c == first && strings.EqualFold(s[i:i+len(lower)], lower) {
			return i
		}
	}
	return -1
}
