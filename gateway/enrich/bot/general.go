package bot

import "strings"

// generalMarks are words that no browser writes into its name. The word bot
// counts only where it ends a word, and Cubot makes telephones.
func generalMarks() []mark {
	var marks []mark
	for _, word := range [...]string{"bot", "crawl", "spider", "scraper", "+http://", "+https://"} {
		m := mark{literal: word, rule: "general mark " + word, weight: byWord}
		m.verdict.Is, m.verdict.Class, m.verdict.Reason = true, Other, "user agent contains "+word
		if word == "bot" {
			m.check = &condition{ended: true, notAfter: "cu"}
		}
		marks = append(marks, m)
	}
	return marks
}

// robotName is what an agent with a general mark calls its robot, "" if nothing;
// own says that the mark stands in it, as in "ExampleBot" or "Example Crawler".
func robotName(ua string, at span, word string) (name string, own bool) {
	if strings.HasPrefix(word, "+") {
		return productName(ua), false
	}
	start, end := at.start, at.end
	for start > 0 && (isWordByte(ua[start-1]) || ua[start-1] == '-') {
		start--
	}
	for end < len(ua) && isWordByte(ua[end]) {
		end++
	}
	if start > 0 && strings.IndexByte("/.@:=&?%~", ua[start-1]) >= 0 {
		return productName(ua), false // a piece of an address
	}
	if isLike(ua, start) {
		return productName(ua), false
	}
	if end-start > len("web-crawlers") || !isKind(ua[start:end]) {
		return ua[start:end], true
	}
	// The kind alone says nothing: the words before it do, as far as they reach.
	from := strings.LastIndexAny(ua[:start], ";:(),/+\"'") + 1
	if phrase := strings.TrimSpace(ua[from:end]); len(phrase) > end-start {
		return phrase, true
	}
	return productName(ua), false
}

// isLike says that what starts here is another's name: "(like TwitterBot)".
func isLike(ua string, start int) bool {
	for _, word := range [...]string{"like ", "compatible with "} {
		if start >= len(word) && strings.EqualFold(ua[start-len(word):start], word) {
			return true
		}
	}
	return false
}

// isKind says that a word names a kind of robot and no robot.
func isKind(word string) bool {
	for _, kind := range [...]string{
		"bot", "robot", "webbot", "webrobot", "web-robot", "searchbot", "crawl", "crawler", "webcrawler", "web-crawler",
		"spider", "webspider", "web-spider", "scraper", "webscraper", "web-scraper",
	} {
		if strings.EqualFold(word, kind) || len(word) == len(kind)+1 && strings.EqualFold(word[:len(kind)], kind) {
			return true
		}
	}
	return false
}

// productName is the product that an agent names where a robot is named: behind
// "compatible; ", or first of all where the agent plays no browser.
func productName(ua string) string {
	const compatible = "compatible; "
	rest := ua
	if i := strings.Index(ua, compatible); i >= 0 {
		rest = ua[i+len(compatible):]
	} else if strings.HasPrefix(ua, "Mozilla/") {
		return ""
	}
	if i := strings.IndexAny(rest, ";:(),/+\"'"); i >= 0 {
		rest = rest[:i]
	}
	rest = strings.TrimSpace(rest)
	if strings.HasPrefix(rest, "MSIE") || strings.HasPrefix(rest, "http") || isKind(rest) {
		return ""
	}
	return rest
}
