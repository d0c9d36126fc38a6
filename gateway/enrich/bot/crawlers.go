package bot

import (
	_ "embed" // the tables
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

//go:embed data/crawlers.txt
var crawlersText string

//go:embed people.txt
var peopleText string

//go:embed operators.txt
var operatorsText string

// classOfTag is the class of a robot with a tag of crawler-user-agents. A
// crawler of an AI company of which we know no better gathers text to train on.
func classOfTag(tag string) (class string, ok bool) {
	switch tag {
	case "search-engine":
		return Search, true
	case "ai-crawler":
		return Training, true
	case "monitoring":
		return Monitor, true
	case "social-preview":
		return Preview, true
	case "http-library":
		return Library, true
	case "browser-automation":
		return Headless, true
	case "scanner":
		return Scanner, true
	case "seo", "advertising", "feed-reader", "archiver", "academic":
		return Other, true
	}
	return "", false
}

// parseCrawlers reads data/crawlers.txt, a line of "pattern<TAB>tag,tag<TAB>url"
// for each robot, without the patterns of people.txt.
func parseCrawlers(crawlers, people, operators string) ([]mark, error) {
	left, err := parsePeople(people)
	if err != nil {
		return nil, err
	}
	names, err := parseOperators(operators)
	if err != nil {
		return nil, err
	}
	var marks []mark
	regexps := 0
	for _, l := range lines(crawlers) {
		fields := strings.Split(l.text, "\t")
		if len(fields) != 3 {
			return nil, fmt.Errorf("bot: data/crawlers.txt line %d: saw %d fields, expected pattern<TAB>tags<TAB>url", l.number, len(fields))
		}
		if _, ok := left[fields[0]]; ok {
			delete(left, fields[0])
			continue
		}
		class := ""
		for _, tag := range strings.Split(fields[1], ",") {
			c, ok := classOfTag(tag)
			if !ok {
				return nil, fmt.Errorf("bot: data/crawlers.txt line %d: the tag %q has no class: add it to classOfTag", l.number, tag)
			}
			if class == "" || class == Other {
				class = c
			}
		}
		literals, c, err := literalsOf(fields[0])
		if err != nil {
			return nil, fmt.Errorf("bot: data/crawlers.txt line %d: %w", l.number, err)
		}
		if c.rest != nil {
			c.number = regexps
			regexps++
		}
		operator := names.of(fields[2])
		rule := fmt.Sprintf("data/crawlers.txt line %d: %s (%s)", l.number, fields[0], fields[1])
		for _, literal := range literals {
			marks = append(marks, mark{
				verdict: event.Bot{Is: true, Class: class, Name: nameOf(literal), Operator: operator, Reason: "user agent contains " + strings.TrimSpace(literal)},
				rule:    rule, literal: literal, check: c, weight: weightOf(class, byLibraryList, byHeadlessList, byList),
			})
		}
	}
	for pattern, number := range left {
		return nil, fmt.Errorf("bot: people.txt line %d: data/crawlers.txt has no pattern %q: take the line out", number, pattern)
	}
	return marks, nil
}

// nameOf is a robot's name by the literal that its agent holds: "Feeder" of
// "Feeder / "; "" where that is an address, for the agent may say more.
func nameOf(literal string) string {
	if strings.Contains(literal, ".") && strings.ContainsAny(literal, "/@") {
		return ""
	}
	name := strings.TrimSuffix(strings.TrimPrefix(literal, "https://"), ".com")
	return memo.Cut(strings.Trim(name, " /;:()-_."), memo.MaxName)
}

// parsePeople reads people.txt: the lines of the patterns to leave out.
func parsePeople(table string) (map[string]int, error) {
	left := map[string]int{}
	for _, l := range lines(table) {
		pattern, reason, ok := strings.Cut(l.text, "\t")
		if !ok || strings.TrimSpace(reason) == "" {
			return nil, fmt.Errorf("bot: people.txt line %d: expected pattern<TAB>reason", l.number)
		}
		left[pattern] = l.number
	}
	return left, nil
}

// operators are the names of who stands behind a domain.
type operators map[string]string

// parseOperators reads operators.txt: "domain | operator".
func parseOperators(table string) (operators, error) {
	names := operators{}
	for _, l := range lines(table) {
		fields := strings.Split(l.text, "|")
		if len(fields) != 2 || strings.TrimSpace(fields[1]) == "" {
			return nil, fmt.Errorf("bot: operators.txt line %d: expected domain | operator", l.number)
		}
		names[strings.TrimSpace(fields[0])] = strings.TrimSpace(fields[1])
	}
	return names, nil
}

// of is who runs a robot with this address: the operator that the table gives
// to the host or the nearest domain above it, else the registered domain.
func (o operators) of(address string) string {
	_, host, ok := strings.Cut(address, "://")
	if !ok {
		host = address
	}
	if i := strings.IndexAny(host, "/?#:"); i >= 0 {
		host = host[:i]
	}
	host = strings.ToLower(host)
	if !strings.Contains(host, ".") || slices.Contains(strings.Split(host, "."), "") {
		return ""
	}
	for domain := host; domain != ""; _, domain, _ = strings.Cut(domain, ".") {
		if name := o[domain]; name == "-" {
			return ""
		} else if name != "" {
			return name
		}
	}
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return "" // an IP address or a bare suffix names nobody
	}
	return domain
}
