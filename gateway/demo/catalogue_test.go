package demo

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func catalogueOf(t testing.TB) *catalogue {
	t.Helper()
	cat, err := loadCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	return cat
}

func TestCatalogueRefuses(t *testing.T) {
	const shelf = `"categories":[{"slug":"history","name":"History","lead":"…","hero":{"kicker":"","headline":"","text":"","action":""}}]`
	book := func(id, change, to string) string {
		good := `{"id":"` + id + `","title":"T","author":"A","category":"history","motif":"road","layout":"top","price":1,"year":2026,"pages":9,"new":false,"staff":"","blurb":"B"}`
		return strings.Replace(good, change, to, 1)
	}
	three := book("a", "", "") + "," + book("b", "", "") + ","
	for _, c := range []struct{ name, file, want string }{
		{"an unknown key", `{"shop":1}`, "unknown field"},
		{"a slug with a space", `{"categories":[{"slug":"a b"}]}`, `category "a b"`},
		{"a slug twice", `{"categories":[{"slug":"a"},{"slug":"a"}]}`, `category "a"`},
		{"too few books", "{" + shelf + `,"books":[` + book("a", "", "") + "]}", "has 1 books"},
		{"an id twice", "{" + shelf + `,"books":[` + three + book("a", "", "") + "]}", `book "a"`},
		{"no such category", "{" + shelf + `,"books":[` + three + book("c", `"history"`, `"poetry"`) + "]}", "poetry"},
		{"no such motif", "{" + shelf + `,"books":[` + three + book("c", `"road"`, `"sea"`) + "]}", "sea"},
		{"no such layout", "{" + shelf + `,"books":[` + three + book("c", `"top"`, `"left"`) + "]}", "left"},
		{"no price", "{" + shelf + `,"books":[` + three + book("c", `"price":1`, `"price":0`) + "]}", "price"},
	} {
		if _, err := readCatalogue(strings.NewReader(c.file)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got the error %v, expected one that speaks of %s", c.name, err, c.want)
		}
	}
}

func TestSearch(t *testing.T) {
	cat := catalogueOf(t)
	for query, want := range map[string][]string{
		"moon":           {"the-salt-moons", "moon-soup"},
		"MOON soup":      {"moon-soup"},
		"leppä":          {"bread-by-feel"},
		"science signal": {},
		"  ":             {},
		"queens history": {"queens-of-the-north"},
	} {
		var got []string
		for _, b := range cat.search(query) {
			got = append(got, b.ID)
		}
		if !slices.Equal(got, want) && len(got)+len(want) > 0 {
			t.Errorf("%q found %v, expected %v", query, got, want)
		}
	}
}

// TestTitlesFit holds every title to the room that its cover has.
func TestTitlesFit(t *testing.T) {
	for _, b := range catalogueOf(t).books {
		lay, ok := layoutOf(b.Layout)
		if !ok {
			t.Fatalf("%s: no layout %s", b.ID, b.Layout)
		}
		f := faceOf(b.Category)
		title := b.Title
		if f.capitals {
			title = strings.ToUpper(title)
		}
		lines, size := f.fit(title, lay.words.w, lay.words.h-24)
		if strings.Join(lines, " ") != title {
			t.Errorf("%s: set as %q", b.ID, lines)
		}
		if size < 16 {
			t.Errorf("%s: set in size %v, too small to be read on a shelf", b.ID, size)
		}
		for _, line := range lines {
			if w := f.width(line) * size; w > lay.words.w {
				t.Errorf("%s: the line %q is %v wide, the room %v", b.ID, line, w, lay.words.w)
			}
		}
	}
}

func TestFitKeepsEveryWord(t *testing.T) {
	f := faceOf("history")
	for _, title := range []string{"A", "Donaudampfschifffahrtsgesellschaft", strings.Repeat("word ", 40), "日本の本", ""} {
		lines, size := f.fit(title, 100, 60)
		if strings.Join(strings.Fields(strings.Join(lines, " ")), " ") != strings.TrimSpace(title) || size <= 0 {
			t.Errorf("%q became %q in size %v", title, lines, size)
		}
	}
}

// TestCoversAreDrawings checks that covers are sound XML without what a strict
// policy or a second copy on the same page would trip over.
func TestCoversAreDrawings(t *testing.T) {
	seen := map[string]string{}
	for _, b := range catalogueOf(t).books {
		file := b.coverFile()
		dec := xml.NewDecoder(strings.NewReader(file))
		for {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v\n%s", b.ID, err, file)
			}
			element, ok := token.(xml.StartElement)
			if !ok {
				continue
			}
			if element.Name.Local == "script" || element.Name.Local == "style" {
				t.Errorf("%s: has a <%s>", b.ID, element.Name.Local)
			}
			for _, a := range element.Attr {
				if a.Name.Local == "id" || a.Name.Local == "style" || a.Name.Local == "href" || strings.Contains(a.Value, "NaN") || strings.Contains(a.Value, "%!") {
					t.Errorf("%s: <%s %s=%q>", b.ID, element.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
		if len(file) > 16<<10 {
			t.Errorf("%s: %d bytes, expected 16 KB at most", b.ID, len(file))
		}
		if other := seen[file]; other != "" {
			t.Errorf("%s looks just like %s", b.ID, other)
		}
		seen[file] = b.ID
	}
}

// TestCoversCanBeRead wants the contrast that WCAG 2.2 asks of text: 4.5 to 1.
func TestCoversCanBeRead(t *testing.T) {
	for _, c := range catalogueOf(t).categories {
		for i, p := range palettes(c.Slug) {
			if got := contrast(t, p.ground, p.ink); got < 4.5 {
				t.Errorf("%s, palette %d: %s on %s has a contrast of %.1f, expected 4.5", c.Slug, i, p.ink, p.ground, got)
			}
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	x, y := luminance(t, a)+.05, luminance(t, b)+.05
	return max(x, y) / min(x, y)
}

// luminance is WCAG's relative luminance of #rrggbb.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	v, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err != nil || len(colour) != 7 {
		t.Fatalf("the colour %q is not of the form #rrggbb", colour)
	}
	part := func(shift uint) float64 {
		c := float64(v>>shift&0xff) / 255
		if c <= .04045 {
			return c / 12.92
		}
		return math.Pow((c+.055)/1.055, 2.4)
	}
	return .2126*part(16) + .7152*part(8) + .0722*part(0)
}
