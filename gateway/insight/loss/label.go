package loss

import "strings"

// Other stands for browsers that have no name here, for pages beyond the bound,
// and for what is not known.
const Other = "other"

// Robot stands for automated browsers of all kinds. What became of their messages
// is counted, so that a run of which some look like a robot's loses none; but it
// is shown to nobody: it says nothing of what people's browsers lose.
const Robot = "robot"

// browsers are the families (uap-core's names) that are told apart. What a
// visitor sends can choose one, and make none.
var browsers = map[string]bool{
	"Chrome": true, "Chrome Mobile": true, "Chrome Mobile iOS": true, "Chrome Mobile WebView": true, "Chromium": true, Robot: true,
	"Firefox": true, "Firefox Mobile": true, "Firefox iOS": true, "Safari": true, "Mobile Safari": true, "Mobile Safari UI/WKWebView": true,
	"Edge": true, "Edge Mobile": true, "Opera": true, "Opera Mobile": true, "Samsung Internet": true, "Instagram": true, "Facebook": true,
}

func browserLabel(family string) string {
	if browsers[family] {
		return family
	}
	return Other
}

const (
	maxSegment  = 24 // bytes of a path's part that is shown; a longer one is an id or a title
	maxSegments = 6
)

// Template makes a page's name of a path: parts with anything in them but
// letters, "-", "_" and "." may be about somebody and become "*", and so do long
// ones. What is no path is Other.
func Template(path string) string {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return Other
	}
	rest = strings.TrimRight(rest, "/")
	if rest == "" {
		return "/"
	}
	b := make([]byte, 0, len(path))
	for n := 1; rest != ""; n++ {
		part, after, _ := strings.Cut(rest, "/")
		rest = after
		if b = append(b, '/'); n == maxSegments && rest != "" {
			return string(append(b, '*'))
		}
		if plain(part) {
			b = append(b, part...)
		} else {
			b = append(b, '*')
		}
	}
	return string(b)
}

func plain(part string) bool {
	if len(part) > maxSegment {
		return false
	}
	for i := range len(part) {
		switch c := part[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return true
}
