package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/reuna/reuna/storage/keyspace"
)

// What is wrong, as a Fault tells it.
const (
	FaultDamaged   = "damaged"   // an entry does not open: it was edited
	FaultMoved     = "moved"     // in its place stands another entry: reordered, copied or inserted
	FaultMissing   = "missing"   // entries are not there: deleted
	FaultTruncated = "truncated" // entries are not there, at the end
	FaultChain     = "chain"     // an entry does not follow the one before: somebody with the keys wrote one of them anew
	FaultHead      = "head"      // a signed head is forged, missing, or not the chain's
	FaultHeadFile  = "head_file" // the head file is missing, forged or another install's, or was missing at a start
	FaultExpected  = "expected"  // a head that somebody kept is not this log's
)

// Fault is one thing that is wrong, with the entries it is about.
type Fault struct {
	Kind string `json:"kind"`
	From uint64 `json:"from"` // first entry, 0 when it is about none
	To   uint64 `json:"to"`   // last entry
	Text string `json:"text"`
}

// MaxFaults is how many faults a Report names.
const MaxFaults = 100

// Report is what Verify found.
type Report struct {
	OK      bool    `json:"ok"`
	Entries uint64  `json:"entries"`        // that opened and stand in their place
	Heads   uint64  `json:"heads"`          // whose signature is good
	First   uint64  `json:"first"`          // number of the first entry there is; 0: none
	Last    uint64  `json:"last"`           // number of the last
	Head    *Head   `json:"head,omitempty"` // the newest good one over these entries: keep it elsewhere, and expect it next time
	Faults  []Fault `json:"faults"`         // the first MaxFaults
	More    uint64  `json:"more"`           // faults beyond those
	Notes   []Fault `json:"notes"`          // entries that are missing by a restore that the log recorded, at most MaxFaults
}

// VerifyOptions tune Verify. The zero VerifyOptions are good.
type VerifyOptions struct {
	Expect   []Head                   // heads that were kept elsewhere, which the log must still have
	Progress func(done, total uint64) // called now and then, entries; may be nil
}

// Verify reads the whole log and holds each entry against the one before, each
// head against its entry, and the end against the heads, the head file and
// what is expected. Appends go on meanwhile; entries that come later are not
// looked at. It reads about half a million entries a second.
//
// An error says that the log could not be read to its end; the Report then
// tells of the entries before that, and is not OK.
func (l *Log) Verify(ctx context.Context, o VerifyOptions) (Report, error) {
	l.mu.Lock()
	end := l.tip.n
	l.mu.Unlock()
	w := &walk{
		l: l, end: end, next: 1, prev: genesis(l.public), known: true, wants: map[uint64][]want{},
		report: Report{Faults: []Fault{}, Notes: []Fault{}},
	}
	for _, h := range o.Expect {
		w.want(h, FaultExpected, "the expected head")
	}
	err := w.headFile()
	if err == nil {
		lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.Audit))
		err = l.db.Iter(lower, upper, func(k, v []byte) (bool, error) {
			if w.seen++; w.seen%HeadInterval == 0 {
				if ctx.Err() != nil {
					return false, context.Cause(ctx)
				}
				if o.Progress != nil {
					o.Progress(min(w.seen, end), end)
				}
			}
			return true, w.entry(k, v)
		})
	}
	if err == nil {
		err = w.finish()
	}
	if err != nil {
		w.report.OK = false
		return w.report, fmt.Errorf("audit: verify stopped behind entry %d: %w", w.report.Last, err)
	}
	if o.Progress != nil {
		o.Progress(end, end)
	}
	w.report.OK = len(w.report.Faults) == 0
	return w.report, nil
}

// window is how many entries' heads are in memory at a time, so that a walk
// over any log takes a few megabytes.
const window = 16 << 10

// walk is one Verify under way.
type walk struct {
	l      *Log
	end    uint64            // the last entry to look at
	seen   uint64            // keys
	next   uint64            // number that comes next
	prev   Hash              // of entry next-1
	known  bool              // prev is
	sealed []byte            // scratch
	heads  map[uint64]Head   // stored in the window that ends at until; the zero Head is a bad one
	until  uint64            // where the next window begins
	wants  map[uint64][]want // heads from outside the store, by entry
	report Report
}

// want is a good head from outside the store.
type want struct {
	hash      Hash
	kind, who string
}

func (w *walk) fault(kind string, from, to uint64, format string, args ...any) {
	if len(w.report.Faults) >= MaxFaults {
		w.report.More++
		return
	}
	w.report.Faults = append(w.report.Faults, Fault{kind, from, to, fmt.Sprintf(format, args...)})
}

func (w *walk) want(h Head, kind, who string) {
	if err := h.Verify(w.l.public); err != nil {
		w.fault(kind, h.N, h.N, "%s: %v", who, err)
		return
	}
	w.wants[h.N] = append(w.wants[h.N], want{h.Hash, kind, who})
}

func (w *walk) headFile() error {
	path := w.l.opt.HeadFile
	if path == "" {
		return nil
	}
	h, err := ReadHeadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if w.end > 0 {
			w.fault(FaultHeadFile, 0, 0, "head file %s is missing: an end that was cut together with its heads would not be seen", path)
		}
	case errors.As(err, new(*fs.PathError)):
		return err
	case err != nil:
		w.fault(FaultHeadFile, 0, 0, "head file %s %v", path, err)
	default:
		w.want(h, FaultHeadFile, "head file "+path)
	}
	return nil
}

// entry looks at the next key of the space.
func (w *walk) entry(k, v []byte) error {
	r, err := w.l.openAt(k, v, &w.sealed)
	if r.N == 0 || r.N > w.end {
		if err != nil { // entries that came meanwhile are good; anything else was put there
			w.fault(kindOf(err), r.N, r.N, "behind the log's end, entry %d: %v", w.end, err)
		}
		return nil
	}
	if lerr := w.loadHeads(r.N); lerr != nil {
		return lerr
	}
	if r.N > w.next {
		if err := w.gap(r.N, err == nil && r.Action == ActionRestored); err != nil {
			return err
		}
	}
	if w.report.First == 0 {
		w.report.First = r.N
	}
	w.report.Last, w.next = r.N, r.N+1
	head, there := w.heads[r.N]
	signed := head.N > 0
	if !there && r.N%HeadInterval == 0 {
		w.fault(FaultHead, r.N, r.N, "there is no signed head at entry %d, though each %dth entry has one: it was removed", r.N, HeadInterval)
	}
	if err != nil {
		w.fault(kindOf(err), r.N, r.N, "%v", err)
		w.prev, w.known = head.Hash, signed
		return nil
	}
	w.report.Entries++
	if w.known && r.Prev != w.prev {
		w.fault(FaultChain, r.N, r.N, "entry %d follows one of hash %s, but the one before it has %s: one of the two was written anew", r.N, r.Prev, w.prev)
	}
	if r.Action == ActionHeadFile {
		w.fault(FaultHeadFile, r.N, r.N, "entry %d records that the head file was missing at a start: what had been cut before it cannot be known", r.N)
	}
	w.prev, w.known = r.Hash, true
	switch {
	case signed && head.Hash != r.Hash:
		w.fault(FaultHead, r.N, r.N, "entry %d has hash %s, but %s was signed on %s: the entry was written anew", r.N, r.Hash, head.Hash, head.Time.Format(timeLayout))
	case signed:
		w.report.Head = &head
	}
	w.compare(r)
	return nil
}

const timeLayout = "2006-01-02 15:04:05 MST"

func kindOf(err error) string {
	if errors.As(err, new(errMoved)) {
		return FaultMoved
	}
	return FaultDamaged
}

// compare holds an entry against the heads from outside the store.
func (w *walk) compare(r Record) {
	for _, x := range w.wants[r.N] {
		if x.hash != r.Hash {
			w.fault(x.kind, r.N, r.N, "entry %d has hash %s, but %s has %s: the log was written anew", r.N, r.Hash, x.who, x.hash)
		}
	}
	delete(w.wants, r.N)
}

// gap tells of the entries that are missing before entry n.
func (w *walk) gap(n uint64, restored bool) error {
	from, to := w.next, n-1
	switch {
	case !restored:
		w.fault(FaultMissing, from, to, "%s", areMissing(from, to))
	case len(w.report.Notes) < MaxFaults:
		w.report.Notes = append(w.report.Notes, Fault{FaultMissing, from, to,
			fmt.Sprintf("%s by a restore, which entry %d records", areMissing(from, to), n)})
	}
	for at := range w.wants {
		if at >= from && at <= to {
			delete(w.wants, at) // told above
		}
	}
	// A good head right before the entry tells what it must follow.
	w.known = false
	_, err := w.l.db.Get(keyspace.AppendAuditHead(nil, to), func(v []byte) error {
		if h, err := parseHead(to, v, w.l.public); err == nil {
			w.prev, w.known = h.Hash, true
		}
		return nil
	})
	return err
}

func areMissing(from, to uint64) string {
	if from == to {
		return fmt.Sprintf("entry %d is missing", from)
	}
	return fmt.Sprintf("entries %d to %d are missing", from, to)
}

// loadHeads brings the window that holds entry n.
func (w *walk) loadHeads(n uint64) error {
	for n >= w.until {
		from := w.until
		w.until += window
		w.heads = map[uint64]Head{}
		err := w.eachHead(from, w.until, func(n uint64, h Head) error {
			w.heads[n] = h
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eachHead gives the heads in [from, to) to fn with their entry's number, and
// counts the good ones. The others are faults and come as the zero Head. A
// bound of 0 is none.
func (w *walk) eachHead(from, to uint64, fn func(n uint64, h Head) error) error {
	lower := keyspace.AppendAuditHead(nil, from)
	upper := keyspace.AppendAuditHead(nil, to)
	if from == 0 {
		lower = keyspace.AppendSpace(nil, keyspace.AuditHead) // malformed keys too
	}
	if to == 0 {
		upper = keyspace.Upper(nil, keyspace.AppendSpace(nil, keyspace.AuditHead))
	}
	return w.l.db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		n, err := keyspace.ParseAuditHead(k)
		var h Head
		if err == nil {
			h, err = parseHead(n, v, w.l.public)
		}
		if err != nil {
			w.fault(FaultHead, n, n, "%v", err)
			return true, fn(n, Head{})
		}
		w.report.Heads++
		return true, fn(n, h)
	})
}

// finish looks at what lies behind the last entry that was found.
func (w *walk) finish() error {
	if err := w.loadHeads(w.end); err != nil {
		return err
	}
	top, told := w.end, "were acknowledged since this program started"
	// A head behind the end is good when its entry came meanwhile.
	look := func(n uint64, who string) error {
		found, err := w.l.db.Get(keyspace.AppendAudit(nil, n), func([]byte) error { return nil })
		if err == nil && !found && n > top {
			top, told = n, who+" shows"
		}
		return err
	}
	stored := func(n uint64, h Head) error {
		if h.N <= w.end {
			return nil
		}
		return look(n, "a signed head")
	}
	for n, h := range w.heads {
		if err := stored(n, h); err != nil {
			return err
		}
	}
	if err := w.eachHead(w.until, 0, stored); err != nil {
		return err
	}
	for n, list := range w.wants {
		if n > w.end {
			if err := look(n, list[0].who); err != nil {
				return err
			}
		}
	}
	if top >= w.next {
		w.fault(FaultTruncated, w.next, top, "%s at the end, which %s", areMissing(w.next, top), told)
	}
	return nil
}
