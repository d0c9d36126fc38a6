package loss

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
)

const day = 24 * int64(time.Hour/time.Millisecond)

// begin is a moment at the start of an hour, ms since 1970.
const begin = int64(1_790_000_000_000) / hourMs * hourMs

func runID(ms int64, tail string) string {
	s := strconv.FormatInt(ms, 36)
	return strings.Repeat("0", startDigits-len(s)) + s + tail
}

func at(ms int64) time.Time { return time.UnixMilli(ms) }

// sent is a message of a Chrome on site shop.
func sent(run string, seq uint32, path string, now int64) *Seen {
	return &Seen{Site: "shop", Browser: "Chrome", Path: path, Run: run, Seq: seq, At: now}
}

// rows writes the figures as lines "site browser page made received".
func rows(b *Book, since int64) string {
	var list []string
	for _, r := range b.Rows(at(since)) {
		list = append(list, fmt.Sprint(r.Site, " ", r.Browser, " ", r.Page, " ", r.Made, " ", r.Received))
	}
	return strings.Join(list, "\n")
}

func expect(t *testing.T, b *Book, want ...string) {
	t.Helper()
	if got := rows(b, 0); got != strings.Join(want, "\n") {
		t.Errorf("the figures are\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestOneRun(t *testing.T) {
	b := NewBook(0)
	run := runID(begin, "abc")
	b.Take(sent(run, 1, "/", begin))
	expect(t, b, "shop Chrome / 1 1")
	b.Take(sent(run, 4, "/", begin))
	expect(t, b, "shop Chrome / 4 2")
	b.Take(sent(run, 4, "/", begin)) // again
	b.Take(sent(run, 3, "/", begin))
	expect(t, b, "shop Chrome / 4 3")
	later := sent(runID(begin+1000, "def"), 1, "/cart", begin+2000)
	later.Reports = []Report{{run, 7, "/"}, {run, 6, "/"}}
	b.Take(later)
	expect(t, b, "shop Chrome / 7 3", "shop Chrome /cart 1 1")
	for _, n := range []uint32{7, 2, 6, 5} {
		b.Take(sent(run, n, "/", begin+day)) // late, and corrected
	}
	expect(t, b, "shop Chrome / 7 7", "shop Chrome /cart 1 1")
	if got := rows(b, begin+hourMs); got != "" {
		t.Errorf("an hour later began %s", got)
	}
}

// TestRobotsDoNotCount: their runs are in no figure, and a person's run that
// looked like a robot's for a while has lost nothing by it.
func TestRobotsDoNotCount(t *testing.T) {
	b := NewBook(0)
	robot := func(run string, seq uint32) *Seen {
		s := sent(run, seq, "/spam", begin)
		s.Browser = Robot
		return s
	}
	run := runID(begin, "abc")
	b.Take(robot(run, 1))
	b.Take(robot(run, 9))
	expect(t, b)
	mixed := runID(begin+1, "def")
	b.Take(sent(mixed, 1, "/", begin))
	for n := uint32(2); n < 6; n++ {
		b.Take(robot(mixed, n))
	}
	b.Take(sent(mixed, 6, "/", begin))
	expect(t, b, "shop Chrome / 6 6")
	e := event.Event{Site: "shop", Source: event.FromTag, Device: event.Device{Browser: "Chrome"}, Bot: event.Bot{Is: true, Class: "headless"},
		Context: event.Value(`{"run":"` + run + `","seq":3}`)}
	if s := new(Seen); !Read(s, &e) || s.Browser != Robot || s.Seq != 3 {
		t.Errorf("a robot's message is read as %+v", s)
	}
}

// TestWhoNamesARun: the page that was loaded is what a report says, else what
// the smallest number says; a refused message says nothing of it.
func TestWhoNamesARun(t *testing.T) {
	b := NewBook(0)
	run := runID(begin, "abc")
	b.Take(&Seen{Site: "shop", Run: run, Seq: 9, At: begin, Refused: true})
	expect(t, b, "shop other other 9 1")
	b.Take(sent(run, 5, "/cart", begin))
	expect(t, b, "shop Chrome /cart 9 2")
	b.Take(sent(run, 7, "/pay", begin))
	expect(t, b, "shop Chrome /cart 9 3")
	b.Take(sent(run, 2, "/", begin))
	expect(t, b, "shop Chrome / 9 4")
	b.Take(&Seen{Site: "shop", Browser: "Firefox", At: begin, Reports: []Report{{run, 3, "/start/"}}})
	expect(t, b, "shop Firefox /start 9 4")
	b.Take(sent(run, 1, "/", begin))
	expect(t, b, "shop Firefox /start 9 5")
}

// TestWhatIsNotJudged: what is too old, too new, too long or no run at all
// changes nothing but a count.
func TestWhatIsNotJudged(t *testing.T) {
	week, hour := Horizon.Milliseconds(), Skew.Milliseconds()
	for _, c := range []struct {
		name   string
		run    string
		seq    uint32
		judged bool
	}{
		{"now", runID(begin, "a"), 1, true},
		{"without chance", runID(begin, ""), 1, true},
		{"the eldest", runID(begin-week, "a"), 1, true},
		{"too old", runID(begin-week-1, "a"), 1, false},
		{"a clock that is ahead", runID(begin+hour, "a"), 1, true},
		{"too far ahead", runID(begin+hour+1, "a"), 1, false},
		{"the greatest number", runID(begin, "a"), MaxSeq, true},
		{"a greater one", runID(begin, "a"), MaxSeq + 1, false},
		{"short", "0abc", 1, false},
		{"long", runID(begin, strings.Repeat("a", 30)), 1, false},
		{"capitals", strings.ToUpper(runID(begin, "abc")), 1, false},
		{"signs", runID(begin, "<b>"), 1, false},
	} {
		for _, report := range []bool{false, true} {
			b := NewBook(0)
			s := sent(c.run, c.seq, "/", begin)
			if report {
				s = &Seen{Site: "shop", Browser: "Chrome", At: begin, Reports: []Report{{c.run, c.seq, "/"}}}
			}
			b.Take(s)
			if got := rows(b, 0); (got != "") != c.judged || (b.Tally().Unjudged == 0) != c.judged {
				t.Errorf("%s (report: %v): %q, %+v", c.name, report, got, b.Tally())
			}
		}
	}
}

func TestTemplate(t *testing.T) {
	for path, want := range map[string]string{
		"/": "/", "": Other, "cart": Other, "//": "/", "/a//b": "/a//b", "/cart": "/cart", "/cart/": "/cart", "/a/b.html": "/a/b.html",
		"/order/4711": "/order/*", "/u/anna@example.com": "/u/*", "/u/anna%40example.com": "/u/*", "/Übersicht": "/*", "/a b": "/*", `/a"b`: "/*",
		"/p/the-art-of-war": "/p/the-art-of-war", "/p/" + strings.Repeat("a", 24): "/p/" + strings.Repeat("a", 24), "/p/" + strings.Repeat("a", 25): "/p/*",
		"/a/b/c/d/e/f": "/a/b/c/d/e/f", "/a/b/c/d/e/f/g": "/a/b/c/d/e/*", "/a\n": "/*", "/x/\x00": "/x/*",
	} {
		if got := Template(path); got != want {
			t.Errorf("%q is %q, want %q", path, got, want)
		}
	}
}

// TestLabelsAreBounded: whatever is sent makes a bounded number of rows, and the
// sums stay true.
func TestLabelsAreBounded(t *testing.T) {
	b := NewBook(0)
	const runs = 30_000
	for i := range runs {
		s := sent(runID(begin+int64(i), "x"), 1, "/p/"+letters(i), begin)
		s.Site, s.Browser = fmt.Sprint("site", i%100), []string{"Chrome", "Firefox", "Safari", "Edge", "<script>", "Netscape"}[i/100%6]
		b.Take(s)
	}
	pages, total := map[string]map[string]bool{}, Count{}
	for _, r := range b.Rows(at(0)) {
		if pages[r.Site] == nil {
			pages[r.Site] = map[string]bool{}
		}
		pages[r.Site][r.Page] = true
		if total.Add(r.Count); r.Browser == "<script>" {
			t.Errorf("row %v", r)
		}
	}
	for site, list := range pages {
		if len(list) > maxPages+1 {
			t.Errorf("%s has %d pages", site, len(list))
		}
	}
	if len(b.cells) > maxCells+2*100 || total != (Count{runs, runs}) {
		t.Errorf("%d cells, %v in all", len(b.cells), total)
	}
	b.Advance(at(begin + 9*day))
	if len(b.cells)+len(b.pages)+len(b.slots)+b.weight != 0 {
		t.Errorf("after the horizon there are %d cells, %d sites, %d slots, weight %d", len(b.cells), len(b.pages), len(b.slots), b.weight)
	}
}

// letters writes a number without digits.
func letters(n int) string {
	s := ""
	for ; n > 0 || s == ""; n /= 26 {
		s += string(rune('a' + n%26))
	}
	return s
}

// TestRunsAreBounded: beyond the bound the eldest runs keep their counts and are
// judged no more. Gaps count, too.
func TestRunsAreBounded(t *testing.T) {
	b := NewBook(100)
	for i := range int64(1000) {
		b.Take(sent(runID(begin+i*slotMs/10, "x"), 2, "/", begin))
		if b.Runs() > 100 {
			t.Fatalf("%d runs are held", b.Runs())
		}
	}
	if got, want := rows(b, 0), "shop Chrome / "; !strings.HasPrefix(got, want) {
		t.Errorf("%q", got)
	}
	before := b.Rows(at(0))[0].Count
	b.Take(sent(runID(begin, "x"), 1, "/", begin)) // one that was let go of
	if after := b.Rows(at(0))[0].Count; after != before || b.Tally().Unjudged == 0 || b.Tally().Dropped == 0 {
		t.Errorf("%v became %v, %+v", before, after, b.Tally())
	}
	b = NewBook(100)
	for n := uint32(1); n <= 2000; n += 2 {
		b.Take(sent(runID(begin, "gaps"), n, "/", begin))
	}
	if b.weight > 100 {
		t.Errorf("the gaps of a run weigh %d", b.weight)
	}
}

// TestClocks: a clock that jumps ahead lets go of everything, and when it comes
// back, what began before the jump is not taken for a loss.
func TestClocks(t *testing.T) {
	b := NewBook(0)
	old := runID(begin, "old")
	b.Take(sent(old, 1, "/", begin))
	b.Advance(at(begin + 3650*day))
	expect(t, b)
	b.Take(sent(runID(begin+3650*day, "f"), 1, "/", begin+3650*day)) // forged meanwhile
	b.Advance(at(begin + 2*hourMs))
	b.Take(sent(old, 3, "/", begin+2*hourMs))
	b.Take(sent(runID(begin+hourMs, "new"), 1, "/", begin+2*hourMs))
	expect(t, b, "shop Chrome / 1 1")
}

// oracle is the accounting as its definition says it.
type oracle map[string]*struct {
	hour  int64
	made  uint32
	got   map[uint32]bool
	page  string
	named uint32
}

func (o oracle) take(s *Seen) {
	one := func(run string, n uint32, path string, report bool) {
		r := o[s.Site+run]
		if r == nil {
			ms, _ := start(run)
			r = &struct {
				hour  int64
				made  uint32
				got   map[uint32]bool
				page  string
				named uint32
			}{ms / hourMs, 0, map[uint32]bool{}, "", ^uint32(0)}
			o[s.Site+run] = r
		}
		r.made = max(r.made, n)
		named := uint32(0)
		if !report {
			r.got[n] = true
			named = n
		}
		if named < r.named {
			r.named, r.page = named, s.Site+" "+browserLabel(s.Browser)+" "+Template(path)
		}
	}
	for _, x := range s.Reports {
		one(x.Run, x.Made, x.Path, true)
	}
	if s.Run != "" {
		one(s.Run, s.Seq, s.Path, false)
	}
}

func (o oracle) rows(since int64) string {
	sums := map[string]Count{}
	for _, r := range o {
		if r.hour >= since/hourMs {
			c := sums[r.page]
			c.Add(Count{uint64(r.made), uint64(len(r.got))})
			sums[r.page] = c
		}
	}
	var list []string
	for _, page := range slices.Sorted(maps.Keys(sums)) {
		list = append(list, fmt.Sprint(page, " ", sums[page].Made, " ", sums[page].Received))
	}
	return strings.Join(list, "\n")
}

// random makes traffic of few runs, in any order, with repeats.
func random(r *rand.Rand, now int64) *Seen {
	pick := func() string { return runID(begin+int64(r.IntN(40))*slotMs/2, "x") }
	s := &Seen{Site: []string{"shop", "blog"}[r.IntN(2)], Browser: []string{"Chrome", "Firefox"}[r.IntN(2)], Path: []string{"/", "/cart", "/order/1"}[r.IntN(3)], At: now}
	if r.IntN(5) > 0 {
		s.Run, s.Seq = pick(), 1+uint32(r.IntN(30))
	}
	for range r.IntN(3) {
		s.Reports = append(s.Reports, Report{pick(), 1 + uint32(r.IntN(30)), "/reported"})
	}
	return s
}

// TestAgainstItsDefinition compares the book with sets, through saves and loads
// at any point.
func TestAgainstItsDefinition(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 30 {
		b, o := NewBook(0), oracle{}
		kept := map[string][]byte{}
		now := begin + 3*hourMs
		for range r.IntN(3000) {
			s := random(r, now)
			o.take(s)
			b.Take(s)
			if r.IntN(100) == 0 {
				save(b, kept)
				b = load(t, kept)
			}
		}
		for _, since := range []int64{0, begin + hourMs, begin + 2*hourMs} {
			if got, want := rows(b, since), o.rows(since); got != want {
				t.Fatalf("since %d the figures are\n%s\nwant\n%s", since, got, want)
			}
		}
	}
}

// save keeps what changed, as a store does.
func save(b *Book, kept map[string][]byte) {
	b.Changes(func(part string, value []byte) {
		if value == nil {
			delete(kept, part)
		} else {
			kept[part] = bytes.Clone(value)
		}
	})
	b.Saved()
}

func load(t testing.TB, kept map[string][]byte) *Book {
	t.Helper()
	b := NewBook(0)
	for _, part := range slices.Sorted(maps.Keys(kept)) {
		if err := b.Load(part, kept[part]); err != nil {
			t.Fatalf("part %q: %v", part, err)
		}
	}
	return b
}

// TestKeptIsWhatThereIs: what was kept change by change is what a new book would
// keep whole, also after runs were let go of.
func TestKeptIsWhatThereIs(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	b, kept := NewBook(15), map[string][]byte{}
	for i := range 400 {
		b.Take(random(r, begin+3*hourMs))
		if r.IntN(10) == 0 {
			save(b, kept)
		}
		if i == 300 {
			b.Advance(at(begin + 7*day + 2*hourMs))
		}
	}
	save(b, kept)
	whole := map[string][]byte{}
	again := load(t, kept)
	for hour := range maps.Keys(hours(again)) {
		again.dirty[hour] = true
	}
	for _, s := range again.slots {
		s.dirty = true
	}
	save(again, whole)
	if !maps.EqualFunc(kept, whole, bytes.Equal) {
		t.Errorf("%d parts were kept, %d are there", len(kept), len(whole))
	}
	if again.weight != b.weight || again.Runs() != b.Runs() || again.floor != b.floor || again.tally != b.tally {
		t.Errorf("weight %d, %d runs, floor %d, %+v; had %d, %d, %d, %+v", again.weight, again.Runs(), again.floor, again.tally, b.weight, b.Runs(), b.floor, b.tally)
	}
}

func hours(b *Book) map[int64]bool {
	all := map[int64]bool{}
	for _, c := range b.cells {
		for h := range c.hours {
			all[h] = true
		}
	}
	return all
}

func TestTakingDoesNotAllocate(t *testing.T) {
	b := NewBook(0)
	run := runID(begin, "abc")
	s := sent(run, 1, "/", begin)
	b.Take(s)
	if n := testing.AllocsPerRun(1000, func() {
		s.Seq++
		b.Take(s)
	}); n > 0 {
		t.Errorf("%.1f allocations a message of a known run", n)
	}
}

// FuzzLoad: nothing that is kept can break the book.
func FuzzLoad(f *testing.F) {
	b, kept := NewBook(0), map[string][]byte{}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		b.Take(random(r, begin+3*hourMs))
	}
	save(b, kept)
	for part, value := range kept {
		f.Add(part, value)
	}
	f.Fuzz(func(t *testing.T, part string, value []byte) {
		b := NewBook(0)
		if err := b.Load(part, value); err != nil {
			return
		}
		for range 20 {
			b.Take(random(r, begin+3*hourMs))
		}
		b.Advance(at(begin + day))
		save(b, map[string][]byte{})
	})
}
