package bot

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Every line of marks.txt must be able to decide: an agent that bears its mark
// alone comes out as its class, name and operator, by that line.
func TestEveryMarkIsReachable(t *testing.T) {
	j := testJudge(t)
	ours, err := parseMarks(marksText)
	if err != nil {
		t.Fatal(err)
	}
	if len(ours) < 400 {
		t.Errorf("%d marks", len(ours))
	}
	for _, m := range ours {
		ua := m.literal
		if m.check == nil || !m.check.start {
			ua = "Mozilla/5.0 (X11; " + ua
		}
		if m.check == nil || !m.check.end {
			ua += " 1.0"
		}
		got, why := j.Explain(ua, false)
		want := m.verdict
		if got.Class != want.Class || got.Name != want.Name || got.Operator != want.Operator || why[0].Rule != m.rule {
			t.Errorf("%s: %s\n got %+v by %q", m.rule, ua, got, why)
		}
	}
}

// One name has one operator and, but for the general classes, one class.
func TestMarksAgree(t *testing.T) {
	ours, err := parseMarks(marksText)
	if err != nil {
		t.Fatal(err)
	}
	first := map[string]mark{}
	classes := map[string]bool{}
	for _, m := range ours {
		classes[m.verdict.Class] = true
		before, ok := first[m.verdict.Name]
		if !ok {
			first[m.verdict.Name] = m
		} else if before.verdict.Operator != m.verdict.Operator || before.verdict.Class != m.verdict.Class {
			t.Errorf("%s\n%s\nsay of %s %+v and %+v", before.rule, m.rule, m.verdict.Name, before.verdict, m.verdict)
		}
	}
	for _, class := range Classes() {
		if !classes[class] {
			t.Errorf("no mark of class %s", class)
		}
	}
}

// Every pattern that is not taken out gives away an agent that is made of it.
func TestEveryCrawlerIsReachable(t *testing.T) {
	j := testJudge(t)
	marks, err := parseCrawlers(crawlersText, peopleText, operatorsText)
	if err != nil {
		t.Fatal(err)
	}
	if len(marks) < 1400 {
		t.Errorf("%d marks", len(marks))
	}
	for _, m := range marks {
		ua := m.literal
		switch {
		case m.check.rest != nil:
			ua = strings.NewReplacer(
				"AdsBot-Google", "AdsBot-Google ", "Feed-Fetcher", "BlogTraffic/1.4 Feed-Fetcher", "BlogTraffic/", "BlogTraffic/1.4 Feed-Fetcher",
				"ContextualBot", "ContextualBot outcomes.net", "outcomes.net", "ContextualBot outcomes.net",
				"Current", "Current RSS Reader", "RSS Reader", "Current RSS Reader",
				"spider.com", "Spider spider.com",
			).Replace(ua)
			ua = "X (" + ua
		case m.check.start:
			ua += "1.0"
		case m.check.end:
			ua = "X (" + ua
		default:
			ua = "X (" + ua + " 1.0"
		}
		if got := j.Verdict(ua, false); !got.Is {
			t.Errorf("%s: %q is nobody's", m.rule, ua)
		}
	}
}

// What is taken out must be what the list has, and stays out.
func TestTablesRefuse(t *testing.T) {
	for table, want := range map[string]string{
		"search|x":                       "saw 2 fields",
		"unheard | x | y | zzz":          `saw the class "unheard"`,
		"search | | y | zzz":             "has no name",
		"search | x | y | Zzz":           "lower case",
		"search | x | y | ^zz":           "three letters",
		"search | x | y | ":              "three letters",
		"search|x|y|zzz\nsearch|x|y|zzz": "line 2 already",
	} {
		if _, err := parseMarks("# head\n" + table); err == nil || !strings.Contains(err.Error(), "marks.txt line ") || !strings.Contains(err.Error(), want) {
			t.Errorf("marks %q: error %v, want %q", table, err, want)
		}
	}
	for table, want := range map[string]string{
		"Foobar":           "line 1: saw 1 fields",
		"Foobar\tfriend\t": `the tag "friend" has no class`,
		"Foo(bar\tseo\t":   "missing closing )",
		"[a-z]+\tseo\t":    "no literal of 3",
		"Fo\tseo\t":        "no literal of 3",
		"Foo|.*\tseo\t":    "no literal of 3",
	} {
		if _, err := parseCrawlers(table, "", ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("crawlers %q: error %v, want %q", table, err, want)
		}
	}
	if _, err := parseCrawlers("Foobar\tseo\t", "Other\ta reason", ""); err == nil || !strings.Contains(err.Error(), "take the line out") {
		t.Errorf("an exception for nothing: %v", err)
	}
	if _, err := parseCrawlers("Foobar\tseo\t", "Foobar", ""); err == nil || !strings.Contains(err.Error(), "pattern<TAB>reason") {
		t.Errorf("an exception without a reason: %v", err)
	}
	if _, err := parseCrawlers("Foobar\tseo\t", "", "example.com"); err == nil || !strings.Contains(err.Error(), "domain | operator") {
		t.Errorf("an operator without a name: %v", err)
	}
	if marks, err := parseCrawlers("Foobar\tseo\t", "Foobar\ta reason", ""); err != nil || len(marks) != 0 {
		t.Errorf("%d marks, error %v", len(marks), err)
	}
}

func TestOperators(t *testing.T) {
	names, err := parseOperators(operatorsText)
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"http://www.google.com/bot.html":           "Google",
		"https://developers.facebook.com/docs/x":   "Meta",
		"https://www.example.co.uk/about?x=1":      "example.co.uk",
		"https://Bots.Example.org:8443/":           "example.org",
		"thinklab.com":                             "thinklab.com",
		"https://datadome.co/bots/mybot/":          "",
		"https://github.com/someone/something":     "",
		"http://130.37.198.75/index.html":          "",
		"https://radar.cloudflare.com/bots":        "",
		"https://www.cloudflare.com/always-online": "Cloudflare",
		"":           "",
		"monitoring": "",
		"https://..": "",
	} {
		if got := names.of(url); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}

func TestLiteralsOf(t *testing.T) {
	for _, c := range []struct {
		pattern  string
		literals []string
		check    condition
	}{
		{`Googlebot\/`, []string{"Googlebot/"}, condition{word: true, exact: true}},
		{`^Silk\/`, []string{"Silk/"}, condition{word: true, exact: true, start: true}},
		{`SSL Labs$`, []string{"SSL Labs"}, condition{word: true, exact: true, end: true}},
		{`[wW]get`, []string{"Wget", "wget"}, condition{word: true, exact: true}},
		{`Netumo|netumo`, []string{"Netumo", "netumo"}, condition{word: true, exact: true}},
		{`Ahrefs(Bot|SiteAudit)`, []string{"AhrefsBot", "AhrefsSiteAudit"}, condition{word: true, exact: true}},
		{`S[eE]m`, []string{"SEm", "Sem"}, condition{word: true, exact: true}},
		{`AdsBot-Google([^-]|$)`, []string{"AdsBot-Google"}, condition{word: true}},
		{`Spider[\s\S]*spider\.com`, []string{"spider.com"}, condition{word: true}},
		{`(foo|ba+r)qux`, []string{"foo", "ba"}, condition{word: true}},
	} {
		literals, check, err := literalsOf(c.pattern)
		if c.pattern == `(foo|ba+r)qux` {
			// An alternative that is no few texts leaves the rest to hang on.
			if err != nil || !slices.Equal(literals, []string{"qux"}) {
				t.Errorf("%s: %q, %v", c.pattern, literals, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		slices.Sort(literals)
		plain := *check
		plain.rest, plain.number = nil, 0
		if !slices.Equal(literals, c.literals) || plain != c.check || (check.rest == nil) != c.check.exact {
			t.Errorf("%s: %q %+v, want %q %+v", c.pattern, literals, *check, c.literals, c.check)
		}
	}
}

// Whatever a pattern matches holds one of its literals, and where the pattern
// stands for texts alone they are all that it matches.
func FuzzLiteralsOf(f *testing.F) {
	f.Add(`[wW]get(bot)?`, "a wgetbot")
	f.Add(`^Foo|Bar$`, "Foo Bar")
	f.Add(`(a|b)cd[ef]+x{2,3}`, "acdexx")
	f.Add(`(?i)Foo\/`, "fOO/")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 60 || len(text) > 300 {
			return
		}
		re, err := regexp.Compile(pattern)
		if err != nil {
			return
		}
		literals, check, err := literalsOf(pattern)
		if err != nil {
			return
		}
		found := false
		for _, literal := range literals {
			if len(literal) < minLiteral {
				t.Fatalf("%q: the literal %q is too short", pattern, literal)
			}
			if check.rest != nil {
				found = found || strings.Contains(strings.ToLower(text), strings.ToLower(literal))
				continue
			}
			for at := 0; at+len(literal) <= len(text); at++ {
				if text[at:at+len(literal)] == literal && (!check.start || at == 0) && (!check.end || at+len(literal) == len(text)) {
					found = true
				}
			}
		}
		if matched := re.MatchString(text); matched && !found || check.rest == nil && found && !matched {
			t.Fatalf("%q matches %q: %v; its literals %q are found: %v", pattern, text, matched, literals, found)
		}
	})
}
