package eventlog

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

var (
	modelSeeds = flag.Int("model.seeds", 30, "random lives that TestAgainstAModel tries")
	modelSeed  = flag.Uint64("model.seed", 0, "the one seed that TestAgainstAModel tries, when not 0")
)

// model is a log as a list: what the real one must do, said as plainly as it
// can be.
type model struct {
	t       *testing.T
	r       *rand.Rand
	fs      *vfs.MemFS
	s       store
	clock   int64 // ms
	entries []modelEntry
	head    uint64
	cursors map[string]Cursor
	origins []uint64 // first entry of each incarnation
	names   map[uint64][16]byte
}

type modelEntry struct {
	text string
	at   int64
}

// A log under everything that happens to it in one life and the next: entries,
// trims, overwrites, readers that come and go, restarts, power cuts, backups
// brought back, and a clock that jumps.
func TestAgainstAModel(t *testing.T) {
	base := rand.Uint64() >> 16
	for i := range *modelSeeds {
		seed := base + uint64(i)
		if *modelSeed != 0 {
			seed = *modelSeed
		}
		if !t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) { liveAgainstAModel(t, seed) }) || *modelSeed != 0 {
			return
		}
	}
}

func liveAgainstAModel(t *testing.T, seed uint64) {
	m := &model{t: t, r: rand.New(rand.NewPCG(seed, 0)), fs: vfs.NewCrashableMem(), clock: 1_700_000_000_000, head: 1,
		cursors: map[string]Cursor{}, origins: []uint64{1}, names: map[uint64][16]byte{}}
	m.open()
	for range 120 {
		m.clock += m.r.Int64N(3 * 3_600_000)
		switch m.r.IntN(20) {
		case 0:
			m.clock += (m.r.Int64N(2)*2 - 1) * []int64{3_600_000, 10 * 365 * 86_400_000}[m.r.IntN(2)]
		case 1, 2, 3:
			m.trim()
		case 4, 5:
			m.overwrite()
		case 6:
			m.moveCursor()
		case 7:
			m.expire()
		case 8:
			m.restart()
		case 9:
			m.crash()
		default:
			m.append()
		}
		if m.r.IntN(6) == 0 {
			m.check()
		}
	}
	m.restart()
	m.check()
	m.s.close(t)
}

func (m *model) open() {
	m.t.Helper()
	m.s = openStore(m.t, m.fs, Options{MaxBlock: 30 + m.r.IntN(400), Logger: quiet(), Now: func() time.Time { return time.UnixMilli(m.clock) }})
}

func (m *model) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// rest waits until the committer has nothing to do.
func (m *model) rest() {
	m.t.Helper()
	for {
		ticket := m.s.log.Barrier()
		if ticket == (Ticket{}) {
			return
		}
		m.must(ticket.Wait())
	}
}

func (m *model) append() {
	m.t.Helper()
	for range 1 + m.r.IntN(20) {
		e := modelEntry{fmt.Sprintf("%d %0*d", len(m.entries)+1, m.r.IntN(60), 0), m.clock + m.r.Int64N(2000) - 1000}
		seq, _ := m.s.log.Append([]byte(e.text), e.at)
		m.entries = append(m.entries, e)
		if seq != uint64(len(m.entries)) {
			m.t.Fatalf("entry %d, want %d", seq, len(m.entries))
		}
		if m.r.IntN(8) == 0 {
			m.rest()
		}
	}
	m.rest()
}

// some gives a number around the log's own.
func (m *model) some() uint64 { return m.head - 1 + m.r.Uint64N(m.last()-m.head+4) }

func (m *model) last() uint64 { return uint64(len(m.entries)) }

func (m *model) trim() {
	m.t.Helper()
	upTo := m.some()
	if m.r.IntN(6) == 0 {
		upTo = m.last()
	}
	m.trimTo(upTo)
}

func (m *model) trimTo(upTo uint64) {
	m.t.Helper()
	want := m.head
	for _, first := range append(m.blocks(), m.last()+1) {
		if first <= upTo+1 {
			want = max(want, first)
		}
	}
	got, err := m.s.log.Trim(upTo)
	if err != nil || got != want || m.s.log.Head() != want {
		m.t.Fatalf("Trim(%d) of %d to %d gives %d (%v), head %d, want %d", upTo, m.head, m.last(), got, err, m.s.log.Head(), want)
	}
	m.head = want
	m.checkKeys()
}

func (m *model) blocks() (starts []uint64) {
	m.t.Helper()
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.LogBlock))
	m.must(m.s.db.Iter(lower, upper, func(k, _ []byte) (bool, error) {
		first, err := keyspace.ParseLogBlock(k)
		starts = append(starts, first)
		return true, err
	}))
	return starts
}

// checkKeys: after a Trim there is a key for every block, and none that is older
// than the oldest block. Without blocks there is the key of today.
func (m *model) checkKeys() {
	m.t.Helper()
	var ids []uint32
	lower, upper := keyspace.Bounds(keyspace.AppendVault(nil, keyspace.VaultEpoch, nil))
	m.must(m.s.db.Iter(lower, upper, func(k, _ []byte) (bool, error) {
		_, id, err := keyspace.ParseVault(k)
		ids = append(ids, uint32(id[0])<<24|uint32(id[1])<<16|uint32(id[2])<<8|uint32(id[3]))
		return true, err
	}))
	var used []uint32
	lower, upper = keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.LogBlock))
	m.must(m.s.db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		_, h, err := blockAt(k, v)
		used = append(used, h.Epoch)
		return true, err
	}))
	for _, id := range used {
		if !slices.Contains(ids, id) {
			m.t.Fatalf("a block needs key %d, there are %v", id, ids)
		}
	}
	if len(used) > 0 && ids[0] != used[0] || len(used) == 0 && len(ids) != 1 {
		m.t.Fatalf("there are keys %v, blocks need %v", ids, slices.Compact(used))
	}
}

func (m *model) overwrite() {
	m.t.Helper()
	seqs := make([]uint64, m.r.IntN(8))
	want := map[uint64]bool{}
	for i := range seqs {
		seqs[i] = max(1, min(m.some(), m.last()))
		if m.r.IntN(3) == 0 {
			seqs[i] = 1 + m.r.Uint64N(m.last()+1)
		}
		if seqs[i] > m.last() {
			seqs = nil // not there
			break
		}
		if seqs[i] >= m.head {
			want[seqs[i]] = true
		}
	}
	if seqs == nil {
		clear(want)
	}
	slices.Sort(seqs)
	with := string("!!!!"[:m.r.IntN(4)])
	n, err := m.s.log.Overwrite(seqs, []byte(with))
	if err != nil || n != len(want) {
		m.t.Fatalf("Overwrite(%v) of %d to %d: %d, %v; want %d", seqs, m.head, m.last(), n, err, len(want))
	}
	for seq := range want {
		m.entries[seq-1].text = with
	}
}

func (m *model) moveCursor() {
	m.t.Helper()
	b := m.s.db.NewBatch()
	c := Cursor{Name: fmt.Sprint("r", m.r.IntN(4)), Hold: []time.Duration{0, Forever, time.Duration(m.r.Int64N(1e15)).Truncate(time.Millisecond)}[m.r.IntN(3)]}
	if m.r.IntN(4) == 0 {
		m.s.log.DropCursor(b, c.Name)
		delete(m.cursors, c.Name)
	} else {
		c.Seq = min(m.some(), m.last())
		m.must(m.s.log.SetCursor(b, c))
		c.Moved = m.clock
		m.cursors[c.Name] = c
	}
	m.must(b.Commit(true))
}

// expire compares Expired with its words: the longest beginning of the log that
// is all too old, but for what readers are waited for.
func (m *model) expire() {
	m.t.Helper()
	age := time.Duration(m.r.Int64N(5*86_400_000)).Truncate(1) * time.Millisecond
	before := func(ms int64) uint64 { return m.seek(ms) - 1 }
	want := before(m.clock - age.Milliseconds())
	bound := want
	var late []string
	for _, name := range []string{"r0", "r1", "r2", "r3"} {
		c, ok := m.cursors[name]
		if !ok || c.Seq >= bound {
			continue
		}
		if c.Hold >= 0 {
			late = append(late, name)
		}
		keep := c.Seq
		if c.Hold >= 0 {
			keep = max(keep, before(m.clock-age.Milliseconds()-c.Hold.Milliseconds()))
		}
		want = min(want, keep)
	}
	got, gotLate, err := m.s.log.Expired(age)
	if err != nil || got != want || !slices.Equal(late, gotLate) {
		m.t.Fatalf("Expired(%v) = %d, %v, %v; want %d, %v of %v", age, got, gotLate, err, want, late, m.cursors)
	}
	m.trimTo(got)
}

// seek is the first entry still here that was received at ms or later.
func (m *model) seek(ms int64) uint64 {
	for seq := m.head; seq <= m.last(); seq++ {
		if m.entries[seq-1].at >= ms {
			return seq
		}
	}
	return m.last() + 1
}

func (m *model) restart() {
	m.t.Helper()
	m.s.close(m.t)
	m.reopen()
}

func (m *model) reopen() {
	m.t.Helper()
	if m.r.IntN(4) == 0 {
		db, err := engine.Open(engine.Options{Dir: "data", FS: m.fs, Logger: quiet()})
		m.must(err)
		for range 1 + m.r.IntN(2) { // the second has nothing to do
			m.must(Reincarnate(db))
		}
		m.must(db.Close())
		if m.origins[len(m.origins)-1] != m.last()+1 {
			m.origins = append(m.origins, m.last()+1)
		}
	}
	m.open()
}

// crash cuts the power. Everything was waited for, so nothing may be missing.
func (m *model) crash() {
	m.t.Helper()
	cut := m.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: m.r.IntN(101), RNG: m.r})
	m.s.close(m.t)
	m.fs = cut
	m.reopen()
}

func (m *model) check() {
	m.t.Helper()
	l := m.s.log
	if l.Head() != m.head || l.LastSeq() != m.last() || l.Durable() != m.last() {
		m.t.Fatalf("log of %d to %d (%d durable), want %d to %d", l.Head(), l.LastSeq(), l.Durable(), m.head, m.last())
	}
	same := func(seq uint64, at int64, entry []byte) {
		m.t.Helper()
		if want := m.entries[seq-1]; string(entry) != want.text || at != want.at {
			m.t.Fatalf("entry %d is %q at %d, want %q at %d", seq, entry, at, want.text, want.at)
		}
	}
	for _, from := range []uint64{0, 1, m.some(), m.some()} {
		next := max(from, m.head)
		err := l.Read(from, func(seq uint64, at int64, entry []byte) (bool, error) {
			if seq != next {
				m.t.Fatalf("Read gives entry %d, want %d", seq, next)
			}
			next++
			same(seq, at, entry)
			return true, nil
		})
		var trimmed *TrimmedError
		if from != 0 && from < m.head {
			if !errors.As(err, &trimmed) || trimmed.Head != m.head || trimmed.From != from {
				m.t.Fatalf("Read(%d), head %d: %v", from, m.head, err)
			}
		} else if err != nil || next != max(from, m.last()+1) {
			m.t.Fatalf("Read(%d) ends before %d of %d to %d: %v", from, next, m.head, m.last(), err)
		}
	}
	seqs := make([]uint64, m.r.IntN(20))
	for i := range seqs {
		seqs[i] = m.head + m.r.Uint64N(m.last()-m.head+2)
	}
	slices.Sort(seqs)
	there := seqs[:sort.Search(len(seqs), func(i int) bool { return seqs[i] > m.last() })]
	n := 0
	err := l.GetMany(seqs, func(seq uint64, at int64, entry []byte) (bool, error) {
		if seq != there[n] {
			m.t.Fatalf("GetMany(%v) gives %d", seqs, seq)
		}
		n++
		same(seq, at, entry)
		return true, nil
	})
	if n != len(there) || (err != nil) != (len(there) < len(seqs)) || err != nil && !errors.Is(err, ErrNoEntry) {
		m.t.Fatalf("GetMany(%v) of %d to %d: %d, %v", seqs, m.head, m.last(), n, err)
	}
	for range 10 {
		ms := m.clock - m.r.Int64N(20*86_400_000)
		if m.last() > 0 && m.r.IntN(2) == 0 {
			ms = m.entries[m.r.IntN(len(m.entries))].at + m.r.Int64N(3) - 1
		}
		if got, err := l.SeekTime(ms); err != nil || got != m.seek(ms) {
			m.t.Fatalf("SeekTime(%d) = %d, %v; want %d", ms, got, err, m.seek(ms))
		}
	}
	list, err := l.Cursors()
	m.must(err)
	if len(list) != len(m.cursors) {
		m.t.Fatalf("cursors %v, want %v", list, m.cursors)
	}
	for _, c := range list {
		if c != m.cursors[c.Name] {
			m.t.Fatalf("cursor %+v, want %+v", c, m.cursors[c.Name])
		}
	}
	m.checkNames()
}

// checkNames: an entry keeps its incarnation for ever, and no two share one. An
// incarnation without an entry may get another name: it has named nothing.
func (m *model) checkNames() {
	m.t.Helper()
	seen := map[[16]byte]bool{}
	for i, first := range m.origins {
		for _, seq := range []uint64{first, first + 1} {
			if i+1 < len(m.origins) && seq >= m.origins[i+1] {
				continue
			}
			name := m.s.log.OriginOf(seq)
			seen[name] = true
			if before, ok := m.names[first]; ok && name != before || m.s.log.OriginNumberOf(seq) != uint16(i+1) {
				m.t.Fatalf("entry %d is of incarnation %d %x, want %d %x", seq, m.s.log.OriginNumberOf(seq), name, i+1, before)
			}
			if seq <= m.last() {
				m.names[first] = name
			}
		}
	}
	if len(seen) != len(m.origins) {
		m.t.Fatalf("%d incarnations have %d names", len(m.origins), len(seen))
	}
}
