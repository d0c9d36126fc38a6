package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/cockroachdb/datadriven"

	"github.com/reuna/reuna/identity/trait/rule"
)

// TestBodies runs testdata/bodies: each input is a definition that was sent by
// itself, each output what it says in JSON, or everything that is wrong with it.
func TestBodies(t *testing.T) {
	datadriven.RunTest(t, "testdata/bodies", func(t *testing.T, d *datadriven.TestData) string {
		var name, format string
		d.MaybeScanArgs(t, "name", &name)
		d.MaybeScanArgs(t, "format", &format)
		var b *Body
		var err error
		switch d.Cmd {
		case "trait":
			b, err = ReadTrait(name, Format(format), []byte(d.Input))
		case "segment":
			b, err = ReadSegment(name, Format(format), []byte(d.Input))
		case "placement":
			b, err = ReadPlacement(name, Format(format), []byte(d.Input))
		case "preview":
			var p *Preview
			if p, b, err = ReadPreview(Format(format), []byte(d.Input)); err == nil {
				return fmt.Sprintf("%s, and %d traits", b.JSON(), len(p.Traits))
			}
		default:
			d.Fatalf(t, "unknown command %s", d.Cmd)
		}
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) {
				t.Fatalf("%T is no list of faults", err)
			}
			var lines []string
			for _, f := range faults {
				line := fmt.Sprintf("%d:%d %s: %s", f.Line, f.Column, f.Path, f.Message)
				if f.Suggestion != "" {
					line += " (" + f.Suggestion + ")"
				}
				lines = append(lines, line)
			}
			return strings.Join(lines, "\n")
		}
		return string(b.JSON())
	})
}

// mark stands in a rule at the place that is looked for.
const mark = "¤"

// placeOf is where the mark stands in a text.
func placeOf(text string) (line, column int) {
	head, _, ok := strings.Cut(text, mark)
	if !ok {
		return 0, 0
	}
	line = strings.Count(head, "\n") + 1
	return line, utf8.RuneCountInString(head[strings.LastIndexByte(head, '\n')+1:]) + 1
}

func checkPlace(t *testing.T, written string, want string, f Format) {
	t.Helper()
	b, err := ReadSegment("s", f, []byte(written))
	if err != nil {
		t.Fatalf("%v in\n%s", err, written)
	}
	if want != "" && b.Segment.When != want {
		t.Fatalf("read %q, want %q", b.Segment.When, want)
	}
	line, column := placeOf(b.Segment.When)
	wantLine, wantColumn := placeOf(written)
	got := b.Faults("segments[3]", rule.Faults{{Path: "segments[3].when", Line: line, Column: column, Message: "wrong", Suggestion: "right"}})[0]
	if got.Line != wantLine || got.Column != wantColumn || got.Path != "when" || got.Message != "wrong; did you mean right?" {
		t.Errorf("%d:%d of the rule is at %v; want %d:%d in\n%s", line, column, got, wantLine, wantColumn, written)
	}
}

// TestPlacesWithinRules: a fault within a rule points at its character in the
// file, however the rule is written.
func TestPlacesWithinRules(t *testing.T) {
	for _, written := range []string{
		"when: a > ¤b",
		"site: shop\nwhen: ¤a",
		"{site: shop, when: a > ¤b}",
		"when: 'it''s' ¤b'",
		"when: 'é ''日本'' ¤b'",
		`when: "a \"b\" \u00e9 \x41 \U0001F600 \t ¤b"`,
		"when: |\n  a &&\n    ¤b\n",
		"when: |-\n\n",
		"when: |-\n    a &&\n    b || ¤c",
		"when: |+\n  a\n  ¤b\n\n",
		"when: >\n  a &&\n  ¤b\n",
		"when: >-\n  a\n  b\n  c ¤d\n",
		"when: a &&\n  b &&\n  ¤c",
		"when: \"a &&\n  b &&\n  ¤c\"",
		"when: 'a &&\n  b &&\n  ¤c'",
		"when: a # ¤ not here\n",
		"\r\nwhen: a ¤b\r\n",
	} {
		if b, err := ReadSegment("s", YAML, []byte(written)); err != nil || !strings.Contains(b.Segment.When, mark) {
			continue // the list holds what could go wrong, too
		}
		checkPlace(t, written, "", YAML)
	}
	b, err := ReadSegment("s", YAML, []byte("when: |2\n  a\n"))
	if err != nil {
		t.Fatal(err)
	}
	if f := b.Faults("", rule.Faults{{Path: "when", Line: 1, Column: 1, Message: "wrong"}})[0]; f.Line != 1 || f.Column != 7 || f.Message != "column 1 of the rule: wrong" {
		t.Errorf("a rule whose form is not followed: %v", f)
	}
}

// TestPlacesInWhatIsWritten: the same for random rules in all ways that JSON and
// this package's own YAML write them.
func TestPlacesInWhatIsWritten(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	m := maker{rand.New(rand.NewPCG(seed, 7))}
	for range 2000 {
		text := strings.ReplaceAll(m.text(), mark, "") + mark + strings.ReplaceAll(m.text(), mark, "")
		s := &Segment{Name: "s", When: text}
		checkPlace(t, string(s.JSON()), text, JSON)
		ascii, err := json.MarshalIndent(map[string]string{"when": text}, " ", "\t")
		if err != nil {
			t.Fatal(err)
		}
		checkPlace(t, string(ascii), text, JSON)
		d := &Definitions{Segments: []Segment{*s}}
		written := string(d.YAML())
		c, err := Parse("x", []byte(written))
		if err != nil {
			t.Fatalf("%v in\n%s", err, written)
		}
		line, column := placeOf(text)
		wantLine, wantColumn := placeOf(written)
		f := c.Faults(rule.Faults{{Path: "segments[0].when", Line: line, Column: column, Message: "wrong"}})[0]
		if f.Line != wantLine || f.Column != wantColumn || f.Message != "wrong" {
			t.Fatalf("%v; want %d:%d in\n%s", f, wantLine, wantColumn, written)
		}
		if t.Failed() {
			return
		}
	}
}

// TestFaultsOfOthersKeepTheirPaths: what a definition breaks elsewhere is told
// with the path of there.
func TestFaultsOfOthersKeepTheirPaths(t *testing.T) {
	b, err := ReadTrait("a", AnyFormat, []byte(`{"kind":"count"}`))
	if err != nil {
		t.Fatal(err)
	}
	got := b.Faults("traits[1]", rule.Faults{
		{Path: "segments[0].when", Line: 1, Column: 3, Message: "there is no computed.b"},
		{Path: "traits[1].where", Line: 2, Column: 3, Message: "x"},
		{Path: "traits[1]", Message: "y"},
		{Path: "traits[10].kind", Message: "z; did you mean count?"},
	})
	want := Faults{
		{Path: "segments[0].when", Message: "column 3: there is no computed.b"},
		{Path: "traits[10].kind", Message: "z; did you mean count?", Suggestion: "count"},
		{Line: 1, Column: 1, Path: "where", Message: "line 2, column 3 of the rule: x"},
		{Line: 1, Column: 1, Path: "", Message: "y"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v", got)
	}
}

// TestSiteOfABody: a definition for a site that is not there says which are.
func TestSiteOfABody(t *testing.T) {
	c := Default()
	c.Sites = []Site{{Name: "shop"}, {Name: "blog"}}
	for site, want := range map[string]string{"": "", "shop": "", "demo": "", "shp": "1:27: site: there is no site \"shp\"; did you mean shop?", "x": "1:27: site: there is no site \"x\"; known here: shop, blog, demo"} {
		b, err := ReadSegment("s", JSON, []byte(`{"when":"a > 1", "site" : "`+site+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		if got := b.CheckSite(c).Error(); strings.TrimPrefix(got, ":") != want {
			t.Errorf("%q: %s", site, got)
		}
	}
}

// TestBoundsOfDefinitions: one more than there may be is a fault that says so.
func TestBoundsOfDefinitions(t *testing.T) {
	for _, c := range []struct {
		key, item string
		most      int
	}{
		{"traits", "{name: d%d, kind: count}", MaxTraits},
		{"segments", "{name: d%d, when: 'true'}", MaxSegments},
		{"placements", "{name: d%d, variants: [{name: x}]}", MaxPlacements},
		{"placements: [{name: p, variants", "{name: d%d}", maxVariants},
	} {
		for _, n := range []int{c.most, c.most + 1} {
			var items []string
			for i := range n {
				items = append(items, fmt.Sprintf(c.item, i))
			}
			text := c.key + ": [" + strings.Join(items, ",\n ") + "]"
			text += strings.Repeat("}]", strings.Count(c.key, "{"))
			_, err := Parse("x", []byte(text))
			if n == c.most && err != nil {
				t.Errorf("%d %s: %v", n, c.key, err)
			}
			want := fmt.Sprintf("saw %d, expected at most %d", n, c.most)
			if n > c.most && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%d %s: %v, want %s", n, c.key, err, want)
			}
		}
	}
	for _, f := range []Format{AnyFormat, JSON, YAML} {
		if _, err := ReadSegment("s", f, []byte(`{"when":"`+strings.Repeat("a", maxFile)+`"}`)); err == nil || !strings.Contains(err.Error(), "1MiB") {
			t.Errorf("%q: a body of more than 1 MiB: %.200v", f, err)
		}
	}
}

// TestJSONIsJSON: the reader takes what encoding/json takes.
func TestJSONIsJSON(t *testing.T) {
	for _, text := range jsonTexts {
		checkJSON(t, []byte(text))
	}
}

var jsonTexts = []string{
	`{}`, `[]`, `{"a":1}`, `[1,2,[3,{"b":null}]]`, `"a\ud83d\ude00\/\b"`, `"\ud83d"`, `"\x"`, "\"a\nb\"", `"`, `"\`, `1`, `-0.5e+3`, `01`, `1.`, `.5`, `+1`, `-`, `1e`, `true`, `tru`, `trueish`, `nul`,
	` { "a" : [ ] } `, `{"a":1,}`, `{,}`, `[1,]`, `{"a"}`, `{a:1}`, `{"a":1 "b":2}`, `[1 2]`, `{"a":1}}`, `{"a":1} x`, "\ufeff{}", "\xff", `{"a":"` + "\xff" + `"}`, ``, ` `, "\t{\n\"a\"\r:\"\u2028\"}", `123456789012345678901234567890`, `1e999`, `0x10`, `1_000`, `NaN`,
}

func checkJSON(t *testing.T, text []byte) {
	t.Helper()
	root, at, message := readJSON(text)
	valid := json.Valid(text) && utf8.Valid(text)
	if nested, deep := tooDeep(text); deep && nested.line > 0 {
		return
	}
	if valid != (message == "") || valid != (root != nil) {
		t.Fatalf("%q: %q, but to encoding/json it is %v", text, message, valid)
	}
	lines := strings.Count(string(text), "\n") + 1
	if !valid && (at.line < 1 || at.line > lines || at.column < 1 || at.column > len(text)+2) {
		t.Fatalf("%q: a fault at %v", text, at)
	}
}

func FuzzJSON(f *testing.F) {
	for _, text := range jsonTexts {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkJSON(t, text) })
}

// FuzzBodies: no text ends the program; what is read without a fault is written
// and read again as the same; a fault names a place of the text.
func FuzzBodies(f *testing.F) {
	for _, text := range []string{
		`{"kind":"count","event":"Order Completed","where":"properties.category == 'thrillers'","window":"30d"}`,
		"kind: rfm\nrecency: [30d, 90d]\nfrequency: [5, 2]\nmonetary: [100, 10.5]\n", "when: |\n  a &&\n  b\n", "when: >-\n  a\n\n  b", "when: \"a\\\n b\"",
		`{"variants":[{"name":"x","holdout":"10%","weight":0,"from":"2026-11-27T09:00:00Z","cap":{"shows":3,"per":"24h"}}],"goal":{"event":"X"}}`,
		`{"steps":[{"event":"a"},{"event":"b","where":"true"}],"not":{"event":"c"}}`, "a: &x 1\nb: *x", "{", "[]", "- a", "~", "",
	} {
		for kind := range byte(4) {
			f.Add(kind, []byte(text))
		}
	}
	f.Fuzz(func(t *testing.T, kind byte, text []byte) {
		var b, again *Body
		var err, err2 error
		switch kind % 4 {
		case 0:
			if b, err = ReadTrait("d", AnyFormat, text); err == nil {
				again, err2 = ReadTrait("d", JSON, b.JSON())
			}
		case 1:
			if b, err = ReadSegment("d", AnyFormat, text); err == nil {
				again, err2 = ReadSegment("d", JSON, b.JSON())
			}
		case 2:
			if b, err = ReadPlacement("d", AnyFormat, text); err == nil {
				again, err2 = ReadPlacement("d", JSON, b.JSON())
			}
		case 3:
			_, b, err = ReadPreview(AnyFormat, text)
			again = b
		}
		if err != nil {
			var faults Faults
			if !errors.As(err, &faults) || len(faults) == 0 {
				t.Fatalf("not a list of faults: %#v", err)
			}
			for _, x := range faults {
				if x.Line < 1 || x.Column < 1 || x.Message == "" || !utf8.ValidString(x.Message) {
					t.Fatalf("%#v in %q", x, text)
				}
			}
			return
		}
		if err2 != nil || string(again.JSON()) != string(b.JSON()) {
			t.Fatalf("%v: %s, then %s", err2, b.JSON(), again.JSON())
		}
		for path := range b.source.rules {
			for column := 1; column < 40; column += 7 {
				b.Faults("x", rule.Faults{{Path: "x." + path, Line: 1 + column%3, Column: column, Message: "m"}})
			}
		}
	})
}
