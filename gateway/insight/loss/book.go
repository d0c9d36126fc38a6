package loss

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Book is the accounting. It does no I/O and belongs to one goroutine.
//
// Invariants:
//   - Taking a message twice is taking it once: numbers are a set.
//   - A cell's counts of an hour are the sum over the runs that began in it, those
//     that were let go of included: these stay as they were then.
//   - Nothing is judged that began before the floor, so a run that was let go of,
//     or whose beginning was never read, cannot come back as a loss.
//   - Memory is bounded by MaxRuns and maxCells, whatever is sent.
type Book struct {
	maxRuns int
	slots   map[int64]*slot // runs by when they began, in five minutes
	weight  int             // of all slots
	floor   int64           // ms; what began before is not judged
	cells   map[label]*cell
	pages   map[string]map[string]int // of each site: how many cells have a page
	dirty   map[int64]bool            // hours that changed since they were saved,
	gone    map[int64]bool            // and slots that are no more
	tally   Tally
}

// Tally counts what could not be judged since the book began.
type Tally struct {
	Unjudged uint64 // messages and reports of runs that are too old, too new, too long, or malformed
	Dropped  uint64 // runs that were let go of early because there were too many
}

// label names a cell.
type label struct{ site, browser, page string }

func (l label) compare(o label) int {
	return cmp.Or(strings.Compare(l.site, o.site), strings.Compare(l.browser, o.browser), strings.Compare(l.page, o.page))
}

// cell holds what is counted of one site, browser and page.
type cell struct {
	label
	hours map[int64]Count // by when the runs began, in hours since 1970
}

// Count is how many messages were made, and how many of them arrived.
type Count struct{ Made, Received uint64 }

// Lost is how many did not.
func (c Count) Lost() uint64 { return c.Made - c.Received }

// Ratio is the part that did not, from 0 to 1; 0 where nothing was made.
func (c Count) Ratio() float64 {
	if c.Made == 0 {
		return 0
	}
	return float64(c.Lost()) / float64(c.Made)
}

// Add adds another's.
func (c *Count) Add(o Count) { c.Made, c.Received = c.Made+o.Made, c.Received+o.Received }

type slot struct {
	runs   map[uint64]run
	weight int // of the runs
	dirty  bool
}

// run is what is known of one load of a page.
type run struct {
	cell  *cell
	made  uint32
	got   uint32 // different numbers received
	upTo  uint32 // 1 to upTo are all there, upTo+1 is not,
	named uint32 // the number that cell follows from: the smallest knows the page that was loaded
	more  []span // and these beyond it, ascending, apart from each other
}

type span struct{ from, to uint32 }

// What named may be besides a message's number.
const (
	namedByReport  = 0
	namedByRefused = ^uint32(0) // nobody has said anything of browser and page
)

// weight is how much of MaxRuns a run takes: gaps need memory, too.
func (r *run) weight() int { return 1 + len(r.more)/4 }

// NewBook makes an empty one that holds up to so many runs; 0 means 500,000, at
// about 80 bytes each.
func NewBook(maxRuns int) *Book {
	b := &Book{maxRuns: cmp.Or(maxRuns, defaultRuns)}
	b.Reset(0)
	return b
}

// Reset forgets everything; what began before floor, ms since 1970, will not be
// judged.
func (b *Book) Reset(floor int64) {
	*b = Book{
		maxRuns: b.maxRuns, floor: floor, slots: map[int64]*slot{}, cells: map[label]*cell{}, pages: map[string]map[string]int{},
		dirty: map[int64]bool{}, gone: map[int64]bool{},
	}
}

// Take counts what one message says.
func (b *Book) Take(s *Seen) {
	for _, r := range s.Reports {
		b.count(s, r.Run, r.Made, r.Path, true)
	}
	if s.Run != "" && s.Seq > 0 {
		b.count(s, s.Run, s.Seq, s.Path, false)
	}
}

// count raises what a run made to n, and unless that is a report, has n arrive.
func (b *Book) count(s *Seen, id string, n uint32, path string, report bool) {
	began, ok := start(id)
	if !ok || n > MaxSeq || began < b.floor || began < s.At-Horizon.Milliseconds() || began > s.At+Skew.Milliseconds() {
		b.tally.Unjudged++
		return
	}
	at, hour := began/slotMs, began/hourMs
	in := b.slots[at]
	if in == nil {
		in = &slot{runs: map[uint64]run{}}
		b.slots[at] = in
		delete(b.gone, at)
	}
	key := runKey(s.Site, id)
	r, known := in.runs[key]
	before := Count{uint64(r.made), uint64(r.got)}
	weight := 0
	if known {
		weight = r.weight()
	} else {
		r.named = namedByRefused
	}
	changed := !known || n > r.made
	r.made = max(r.made, n)
	named := uint32(namedByReport)
	if !report {
		changed = r.take(n) || changed
		named = n
	}
	if s.Refused {
		named = namedByRefused
	}
	if !changed && named >= r.named {
		return
	}
	to := r.cell
	if !known || named < r.named {
		r.named = named
		l := label{s.Site, Other, Other}
		if !s.Refused {
			if l.browser = browserLabel(s.Browser); l.browser != Robot {
				l.page = Template(path)
			}
		}
		to = b.cell(l)
	}
	if r.cell != nil {
		b.move(r.cell, hour, before, Count{})
		before = Count{}
	}
	r.cell = to
	b.move(to, hour, before, Count{uint64(r.made), uint64(r.got)})
	in.runs[key], in.dirty = r, true
	in.weight += r.weight() - weight
	b.weight += r.weight() - weight
	for b.weight > b.maxRuns {
		b.dropEldest()
	}
}

// take notes that number n has arrived; false when it had before.
func (r *run) take(n uint32) bool {
	if n <= r.upTo {
		return false
	}
	i, found := slices.BinarySearchFunc(r.more, n, func(x span, n uint32) int {
		switch {
		case x.to < n:
			return -1
		case x.from > n:
			return 1
		}
		return 0
	})
	if found {
		return false
	}
	r.got++
	joinsLeft := i > 0 && r.more[i-1].to == n-1
	joinsRight := i < len(r.more) && r.more[i].from == n+1
	switch {
	case n == r.upTo+1:
		if r.upTo = n; joinsRight {
			r.upTo = r.more[i].to
			r.more = slices.Delete(r.more, i, i+1)
		}
	case joinsLeft && joinsRight:
		r.more[i-1].to = r.more[i].to
		r.more = slices.Delete(r.more, i, i+1)
	case joinsLeft:
		r.more[i-1].to = n
	case joinsRight:
		r.more[i].from = n
	default:
		r.more = slices.Insert(r.more, i, span{n, n})
	}
	if len(r.more) == 0 {
		r.more = nil
	}
	return true
}

// move changes what a cell has of an hour by one run.
func (b *Book) move(c *cell, hour int64, from, to Count) {
	x := c.hours[hour]
	x.Made += to.Made - from.Made
	x.Received += to.Received - from.Received
	if x == (Count{}) {
		delete(c.hours, hour)
	} else {
		c.hours[hour] = x
	}
	b.dirty[hour] = true
}

// cell finds or makes one. Where there are too many pages, or too many in all,
// it is that of the others.
func (b *Book) cell(l label) *cell {
	if c := b.cells[l]; c != nil {
		return c
	}
	pages := b.pages[l.site]
	if l.page != Other && pages[l.page] == 0 && named(pages) >= maxPages {
		return b.cell(label{l.site, l.browser, Other})
	}
	if len(b.cells) >= maxCells {
		switch {
		case l.page != Other:
			return b.cell(label{l.site, l.browser, Other})
		case l.browser != Other:
			return b.cell(label{l.site, Other, Other})
		}
	}
	c := &cell{label{strings.Clone(l.site), strings.Clone(l.browser), strings.Clone(l.page)}, map[int64]Count{}}
	b.cells[c.label] = c
	if pages == nil {
		pages = map[string]int{}
		b.pages[c.site] = pages
	}
	pages[c.page]++
	return c
}

// named counts the pages that are not Other.
func named(pages map[string]int) int {
	n := len(pages)
	if _, ok := pages[Other]; ok {
		n--
	}
	return n
}

// dropEldest lets go of the runs of the eldest slot. Their counts stay, and they
// are not judged any more.
func (b *Book) dropEldest() {
	eldest, first := int64(0), true
	for at := range b.slots {
		if first || at < eldest {
			eldest, first = at, false
		}
	}
	b.tally.Dropped += uint64(len(b.slots[eldest].runs))
	b.forget(eldest)
	b.floor = max(b.floor, (eldest+1)*slotMs)
}

func (b *Book) forget(at int64) {
	b.weight -= b.slots[at].weight
	delete(b.slots, at)
	b.gone[at] = true
}

// Advance lets go of what is beyond the horizon, and of what a clock that ran
// ahead has left in the future.
func (b *Book) Advance(now time.Time) {
	oldest, newest := now.Add(-Horizon).UnixMilli(), now.Add(Horizon).UnixMilli()
	for at := range b.slots {
		switch {
		case (at+1)*slotMs <= oldest:
			b.forget(at)
			b.floor = max(b.floor, (at+1)*slotMs)
		case at*slotMs > newest:
			b.forget(at)
		}
	}
	for _, c := range b.cells {
		for hour := range c.hours {
			// An hour later than the slots in it, so that no run lacks its counts.
			if (hour+2)*hourMs <= oldest || (hour-1)*hourMs > newest {
				delete(c.hours, hour)
				b.dirty[hour] = true
			}
		}
		if len(c.hours) > 0 {
			continue
		}
		delete(b.cells, c.label)
		pages := b.pages[c.site]
		if pages[c.page]--; pages[c.page] == 0 {
			delete(pages, c.page)
		}
		if len(pages) == 0 {
			delete(b.pages, c.site)
		}
	}
}

// Row is one line of the figures.
type Row struct {
	Site, Browser, Page string
	Count
}

// Rows are the counts of the runs that began in the hour of since, or later, by
// site, browser and page. Robots' are not among them.
func (b *Book) Rows(since time.Time) (list []Row) {
	from := since.UnixMilli() / hourMs
	for _, c := range b.cells {
		r := Row{Site: c.site, Browser: c.browser, Page: c.page}
		for hour, n := range c.hours {
			if hour >= from {
				r.Add(n)
			}
		}
		if r.Made > 0 && r.Browser != Robot {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(x, y Row) int { return label{x.Site, x.Browser, x.Page}.compare(label{y.Site, y.Browser, y.Page}) })
	return list
}

// Tally gives what could not be judged.
func (b *Book) Tally() Tally { return b.tally }

// Runs is how many runs are held.
func (b *Book) Runs() (n int) {
	for s := range maps.Values(b.slots) {
		n += len(s.runs)
	}
	return n
}
