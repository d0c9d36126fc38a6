// Package people keeps who is known and what is known of them: facets, the
// evidence between identifiers, sessions, and which messages have been taken.
// All of it follows from the log. It lives in memory, is written behind the log
// at checkpoints, and what a crash took is made again from the log's tail.
package people

import (
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/identity/segment"
	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/eventlog"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
	"github.com/reuna/reuna/storage/vault"
)

// Hash is a keyed hash as it stands in the store's keys.
type Hash = keyspace.Hash

// Options says what the store stands on and how large it may grow in memory.
type Options struct {
	DB    *engine.DB
	Vault *vault.Vault
	Log   *eventlog.Log

	Types *id.Types
	Rules facet.Rules
	// Defined says that there is a definition for a series of that number; others are
	// let go of when their facet is read and written again. Nil: all stay.
	Defined func(series uint32) bool

	// Judge says which audiences a person is in at now, ms since 1970, and until when
	// that holds by itself. It may be called by several goroutines, and must
	// not use the store. Nil: nobody is judged; when somebody is again, Sweep.
	Judge func(x *Snapshot, now int64) *segment.Standing
	// AudienceName gives the name of an audience for the log; "" where it is not known
	// any more. It is called under the store's lock.
	AudienceName func(id uint32) string
	// JudgeByHand leaves it to CatchUp to judge those whom no answer judges.
	JudgeByHand bool

	// DedupeWindow is how long a messageId is remembered; 0 means 7 days.
	DedupeWindow time.Duration
	// Hold is how many facets and identifiers may stay in memory, at about 5 KB for
	// one of each; 0 means 100,000. Those that wait for a checkpoint come on top, up
	// to four times as many: then Begin gives ErrBehind.
	Hold int
	// Every is the longest time between checkpoints; 0 means a minute. There is one before
	// that when a replay would have a lot to do (replayMost), or memory is full of what
	// is not written. A longer one writes a busy facet less often.
	Every time.Duration
	// ProfileBytes bounds the joined profiles that are kept in memory, roughly; 0
	// means 64 MiB.
	ProfileBytes int
	// MaxLinks is to how many others an identifier may be linked before it is held,
	// a user_id's devices not counted; 0 means 200. MaxAddresses is from how many
	// networks a device may be seen while it is in memory; 0 means 1,000. Negative:
	// nothing is held for that.
	MaxLinks, MaxAddresses int
	// Tail is how long entries stay in the log before they settle into histories;
	// 0 means 72 hours. SettleEvery is how often that is looked after; 0 means six
	// hours, negative: only when Settle is called. Settling more often costs more:
	// it opens and writes again a chunk for each visitor who was there.
	Tail, SettleEvery time.Duration
	// KeepEvents is how long settled events are kept; 0 means for ever.
	// KeepRefused is how long refused messages are; 0 means 30 days.
	KeepEvents, KeepRefused time.Duration
	// SliceBytes and ChunkBytes are for tests of settling.
	SliceBytes, ChunkBytes int
	Now                    func() time.Time // default time.Now
	Logger                 *slog.Logger
}

// Store is the state that the log has led to.
//
// Invariants:
//   - One lock guards everything in memory and is never held across I/O: what a
//     request needs is loaded first, without it. Under it an entry is given its
//     place in the log and applied at once, so the order of the log is the
//     order in which memory changed.
//   - A facet knows the last entry folded into it. Folding skips what is not
//     newer, so a replay that starts anywhere at or before the truth ends in it.
//     Everything else that an entry changes (evidence, indexes, messages taken,
//     sessions) is a set or carries its entry's place, and may be applied again.
//   - Nothing of an entry reaches the disk before the entry is durable in the
//     log: a checkpoint waits for that.
//
// Rejected: writing each event's facet with the event. It is the obvious design
// and costs more than all the rest of the way together (six times a bare
// server instead of three, and twenty times the bytes).
type Store struct {
	o        Options
	log      *slog.Logger
	resolver *graph.Resolver

	mu     sync.Mutex
	nodes  map[id.ID]*node
	facets map[Hash]*held
	// Messages taken since the last checkpoint, and those that it is writing.
	// Older ones are on disk.
	taken, writing map[Hash]int64
	ever           filter    // of all messages ever taken
	indexing       []indexed // those that a checkpoint is writing
	index          []indexed // events that have no index entry yet
	refused        []uint64  // entries for the quarantine's index
	dirtyFacets    []*held
	dirtyNodes     []*node
	savingNodes    []*node    // those that a checkpoint is writing
	joined         []*cluster // those that keep a profile, oldest first
	joinedBytes    int        // of these profiles, roughly,
	kept           int        // and how many they are
	moves          uint64     // of marks: what some cluster stands on changed
	drops          uint64     // counts what was forgotten; who loaded before must look again
	guests         guests
	rotations      uint64          // counts how often taken became writing
	applied        uint64          // the last entry that is in memory
	buf            []byte          // the entry that is being made
	list           [8]*facet.Facet // room for facetsOf: most have fewer
	stats          Stats
	wants          sync.Pool // of *want that lack nothing

	// Who may have come over a limit by what is being applied, who is held, and
	// what is to be said of that once the lock is free.
	suspects map[suspect]struct{}
	held     int
	made     []madeHold
	seed     maphash.Seed // of networks

	// Of standings (standing.go, judge.go, due.go).
	judges    bool        // there are audiences
	stands    atomic.Bool // anybody ever was in one
	watched   watch
	marks     uint64 // counts what was marked
	judging   judging
	moving    []Transition // what is being told
	dues      dues
	judgeWake chan struct{}
	oneJudge  sync.Mutex // one judges those whom no answer does; taken before mu

	erased     atomic.Bool       // anybody ever was: most stores have no tombstone to look for
	erasing    map[Hash]bool     // identifiers and facets that are about to go from the disk; nil when none,
	erasingAt  int64             // and since when
	filling    map[Hash]struct{} // facets that a fill is writing: what the disk has of them is old; nil when none
	months     []keyspace.Month  // that histories have, oldest first; replaced, never changed
	indexedTo  atomic.Int64      // what was received before, ms, is in the index; at least
	checkpoint sync.Mutex        // one checkpoint at a time; taken before mu

	// One settling or erasure at a time; taken before checkpoint. It guards
	maintain sync.Mutex
	build    record.ChunkBuilder
	scratch  record.Scratch
	sealed   []byte
	codec    *record.ChunkCodec // reading needs no lock

	packer     *record.Packer
	wake, stop chan struct{}
	running    sync.WaitGroup
	replaying  bool   // the log's tail is being read: nobody else uses the store yet
	cursor     uint64 // that the last checkpoint wrote
	begun      uint64 // the last entry that was in memory when the last checkpoint began
	told       uint64 // entries of transitions since
	detached   bool   // derives the state anew, see Rebuild
	failed     error  // why checkpoints ended; guarded by mu
}

// Stats are counters since the store was opened, and present sizes.
type Stats struct {
	Events, Duplicates, Refused  int64
	Blocked, TraitsOverLimit     int64
	Checkpoints                  int64
	Facets, Identifiers, Unsaved int
	LastCheckpoint               time.Duration
	Replayed                     int64
	ReplayTime                   time.Duration
	Evictions                    int64
	Joined, JoinedBytes          int   // profiles kept
	JoinHits, Joins              int64 // reads that needed no join, and those that did
	ClusterHits, Resolved        int64 // clusters asked for that were known, and that were worked out:
	ResolveReads, ResolvePairs   int64 // by reading so many identifiers, and looking at so many pairs
	Held                         int   // identifiers that are held now,
	HeldLinks, HeldAddresses     int64 // and how often one was since the store was opened, by reason
	HeldOperator                 int64
	Late                         int64 // events dropped for coming after their erasure
	SettleErr                    error // why entries could not be moved to histories the last time; nil when they could
}

// held is a facet in memory.
type held struct {
	f       *facet.Facet
	hash    Hash
	applied uint64 // the last entry folded in
	dirty   bool   // stands in dirtyFacets
	fresh   bool   // its identifiers' entries are not written yet
	used    bool   // since the last sweep
	size    int    // of its record, as it was last written or read, bytes
}

// node is an identifier in memory: the evidence it is part of, the facets that
// name it, and for a device its session.
type node struct {
	id      id.ID
	hash    Hash
	pairs   []*graph.Pair
	facets  []Hash
	session Session
	erased  int64 // ms; what is not newer is dropped. 0: never

	byOther map[id.ID]*graph.Pair // of pairs, and
	byHash  map[Hash]struct{}     // of facets, once they are many

	newPairs     map[*graph.Pair]struct{} // changed since the last checkpoint
	freshFacets  int                      // that no checkpoint has written yet; until then the node stays
	dirtySession bool
	dirty        bool
	used         bool

	clusters [2]*cluster // by view
	marks    *[2]marks   // nil while no cluster stands on it

	// How many others it is linked to, by view, once it has more pairs than
	// Options.MaxLinks; and the networks that a device was seen from.
	links    [2]int
	counted  bool
	networks networks

	stand *stand // nil while nothing is known of standings
}

type indexed struct {
	facet Hash
	time  int64
	seq   uint64
}

// Open brings the state up to the end of the log and starts writing it behind
// the log. progress, when it is not nil, hears how much of the tail is done.
func Open(o Options, progress func(done, total uint64)) (*Store, error) {
	s, err := newStore(o)
	if err != nil {
		return nil, fmt.Errorf("people: %w", err)
	}
	if s.months, err = s.listMonths(); err == nil {
		err = s.lookForTombstones()
	}
	if err == nil {
		err = s.lookForStandings()
	}
	if err == nil {
		err = s.recover(progress)
	}
	if err == nil {
		err = s.countHeld()
	}
	if err == nil {
		err = s.holdMissed()
	}
	if err != nil {
		s.free()
		return nil, fmt.Errorf("people: %w", err)
	}
	s.running.Go(s.run)
	if s.judges && !s.o.JudgeByHand {
		s.running.Go(s.judgeAll)
	}
	if s.o.SettleEvery > 0 {
		s.running.Go(s.keepUp)
	}
	s.running.Go(s.fillFilter)
	return s, nil
}

// newStore makes a store that has not read anything.
func newStore(o Options) (*Store, error) {
	if o.Every == 0 {
		o.Every = time.Minute
	}
	if o.Hold == 0 {
		o.Hold = 100_000
	}
	if o.DedupeWindow == 0 {
		o.DedupeWindow = 7 * 24 * time.Hour
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.MaxLinks, o.MaxAddresses = cmp.Or(o.MaxLinks, 200), cmp.Or(o.MaxAddresses, 1000)
	o.ProfileBytes = cmp.Or(o.ProfileBytes, 64<<20)
	o.Tail = cmp.Or(o.Tail, 72*time.Hour)
	o.SettleEvery = cmp.Or(o.SettleEvery, 6*time.Hour)
	o.KeepRefused = cmp.Or(o.KeepRefused, 30*24*time.Hour)
	o.SliceBytes, o.ChunkBytes = cmp.Or(o.SliceBytes, sliceBytes), cmp.Or(o.ChunkBytes, chunkBytes)
	codec, err := record.NewChunkCodec()
	if err != nil {
		return nil, err
	}
	packer, err := record.NewPacker()
	if err != nil {
		codec.Close()
		return nil, err
	}
	s := &Store{
		codec: codec, packer: packer,
		o: o, log: o.Logger, resolver: graph.NewResolver(o.Types, graph.Options{}),
		nodes: map[id.ID]*node{}, facets: map[Hash]*held{},
		taken: map[Hash]int64{}, writing: map[Hash]int64{}, seed: maphash.MakeSeed(), suspects: map[suspect]struct{}{},
		judges: o.Judge != nil, watched: watch{all: true}, judgeWake: make(chan struct{}, 1),
		wake: make(chan struct{}, 1), stop: make(chan struct{}),
	}
	s.addEverybody()
	return s, nil
}

// Close writes what is not written yet.
func (s *Store) Close() error {
	close(s.stop)
	s.running.Wait()
	defer s.free()
	if _, full := s.o.DB.Full(); full {
		return nil // the next start reads it from the log's tail
	}
	if s.judges {
		if err := s.judgeRound(true); err != nil {
			s.log.Warn("not everybody's audiences were judged; the next start goes on there", "err", err)
		}
	}
	return s.Checkpoint()
}

func (s *Store) free() {
	s.codec.Close()
	s.packer.Close()
}

// Healthy tells why the store cannot keep its promises any more; nil when it can.
func (s *Store) Healthy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Stats reads the counters.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Facets, st.Identifiers = len(s.facets), len(s.nodes)
	st.Joined, st.JoinedBytes = s.kept, s.joinedBytes
	st.Held = s.held
	st.Unsaved = len(s.dirtyFacets) + len(s.dirtyNodes)
	return st
}

// ErrBehind says that more has changed in memory than the disk keeps up with.
// Try again in a second.
type ErrBehind struct{ Facets, Limit int }

func (e ErrBehind) Error() string {
	return fmt.Sprintf("people: %d facets wait for the disk, %d may: send more slowly, or use a faster disk", e.Facets, e.Limit)
}

// small is how many messages and index entries take the memory of a facet.
const small = 8

// behind refuses what memory has no room for. The lock is held.
func (s *Store) behind() error {
	const fewFacets = 1_000 // that nobody need be refused for
	limit := max(4*s.o.Hold, fewFacets)
	if n := max(len(s.dirtyFacets), (len(s.taken)+len(s.index))/small, s.judging.count()); n > limit {
		return ErrBehind{n, limit}
	}
	return nil
}

// A checkpoint is made before a replay would have more to do than replayMost, in
// entries. A facet that has to be read and written counts as several: with fifty
// computed traits an event takes 10 µs of a replay, a facet 40 µs more, and a
// transition, of which there may be one an event, not 4; so that a start after a crash
// takes three seconds at most.
const (
	replayMost  = 300_000
	replayFacet = 4
	replayTold  = 2 // so many transitions count as one
)

// crowded says that what waits for a checkpoint takes as much memory as all that may
// stay. The lock is held.
func (s *Store) crowded() bool {
	return len(s.dirtyFacets)+(len(s.taken)+len(s.index))/small > s.o.Hold
}

// checkpointDue says that a checkpoint should not wait for its time. The lock is held.
func (s *Store) checkpointDue() bool {
	return s.crowded() || s.applied-s.begun-s.told+s.told/replayTold+replayFacet*uint64(len(s.dirtyFacets)) > replayMost
}

// run makes checkpoints until the store closes.
func (s *Store) run() {
	tick := time.NewTicker(s.o.Every)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-s.stop:
			return
		case <-tick.C:
			err = s.Checkpoint()
		case <-s.wake:
			err = s.Checkpoint()
			tick.Reset(s.o.Every)
		}
		if err != nil && !errors.Is(err, eventlog.ErrClosed) {
			s.log.Error("writing people behind the log failed; requests are refused until a restart", "err", err)
			s.mu.Lock()
			s.failed = err
			s.mu.Unlock()
			return
		}
	}
}

// hashFacet is a facet's name in the store's keys. What the first origin's are
// called is older than that there can be others.
func (s *Store) hashFacet(k facet.Key) Hash {
	if k.Origin <= 1 {
		return s.o.Vault.HashKey("facet", k.AnonymousID, k.UserID, k.Trust.String())
	}
	return s.o.Vault.HashKey("facet", k.AnonymousID, k.UserID, k.Trust.String(), strconv.Itoa(int(k.Origin)))
}

func (s *Store) hashID(x id.ID) Hash { return s.o.Vault.Hash(x.Type, x.Value) }
