package enrich

import (
	_ "embed" // the table of agents below
	"fmt"
	"strings"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

//go:embed bots.txt
var botTable string

// The values of event.Bot.Class.
const (
	classSearch    = "search"
	classTraining  = "ai-training"
	classAssistant = "ai-assistant"
	classMonitor   = "monitor"
	classPreview   = "preview"
	classLibrary   = "library"
	classHeadless  = "headless"
	classScanner   = "scanner"
	classOther     = "other"
)

// botMark is one literal that gives a bot away.
type botMark struct {
	verdict event.Bot
	literal string // lower case
	atStart bool
}

// parseBots reads the table of bots.txt.
func parseBots(text string) ([]botMark, error) {
	var marks []botMark
	for i, line := range strings.Split(text, "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.Split(line, "|")
		if len(parts) != 3 {
			return nil, fmt.Errorf("enrich: bots.txt line %d: saw %d fields, expected class|name|literal", i+1, len(parts))
		}
		m := botMark{verdict: event.Bot{Is: true, Class: parts[0], Name: parts[1]}}
		m.literal, m.atStart = strings.CutPrefix(parts[2], "^")
		switch m.verdict.Class {
		case classSearch, classTraining, classAssistant, classMonitor, classPreview, classLibrary, classHeadless, classScanner, classOther:
		default:
			return nil, fmt.Errorf("enrich: bots.txt line %d: unknown class %q", i+1, m.verdict.Class)
		}
		if m.literal == "" || m.literal != strings.ToLower(m.literal) {
			return nil, fmt.Errorf("enrich: bots.txt line %d: the literal %q must be lower case and not empty", i+1, m.literal)
		}
		how := "contains"
		if m.atStart {
			how = "starts with"
		}
		m.verdict.Reason = "user agent " + how + " " + m.literal
		marks = append(marks, m)
	}
	return marks, nil
}

// verdict judges an agent of at most memo.MaxAgent bytes. It is a first verdict, by
// what the client says of itself; a client that lies looks like a person.
func (a *agents) verdict(ua string, c *claims) event.Bot {
	if c.headless {
		return event.Bot{Is: true, Class: classHeadless, Name: "HeadlessChrome", Reason: "client hint brand HeadlessChrome"}
	}
	low := strings.ToLower(ua)
	for i := range a.bots {
		m := &a.bots[i]
		if m.atStart && strings.HasPrefix(low, m.literal) || !m.atStart && strings.Contains(low, m.literal) {
			return m.verdict
		}
	}
	if word := robotWord(low); word != "" {
		return event.Bot{Is: true, Class: classOther, Name: robotName(ua, low, word), Reason: "user agent contains " + word}
	}
	return event.Bot{}
}

// robotWord is the general mark of a robot that an agent bears: the word bot
// at a word's end, crawler, spider, scraper, or an address to read about it,
// which no browser writes into its name. Cubot makes telephones.
func robotWord(low string) string {
	for _, word := range [...]string{"crawler", "spider", "scraper", "+http://", "+https://"} {
		if strings.Contains(low, word) {
			return word
		}
	}
	for i := 0; ; {
		j := strings.Index(low[i:], "bot")
		if j < 0 {
			return ""
		}
		start, end := i+j, i+j+len("bot")
		ended := end == len(low) || !isWordByte(low[end])
		if ended && !strings.HasSuffix(low[:start], "cu") {
			return "bot"
		}
		i = end
	}
}

func isWordByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_'
}

// robotName is the product in which the mark stands: "ExampleBot" of
// "Mozilla/5.0 (compatible; ExampleBot/2.0; …)"; "" for an address.
func robotName(ua, low, word string) string {
	if len(low) != len(ua) || strings.HasPrefix(word, "+") {
		return "" // lower-casing moved the bytes: no position to read from
	}
	end := strings.LastIndex(low, word) + len(word)
	start := end
	for start > 0 && (isWordByte(low[start-1]) || low[start-1] == '-' || low[start-1] == '.') {
		start--
	}
	for end < len(low) && isWordByte(low[end]) {
		end++
	}
	return memo.Cut(ua[start:end], memo.MaxName)
}
