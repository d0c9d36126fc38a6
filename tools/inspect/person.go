package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/reuna/reuna/identity/facet"
	"github.com/reuna/reuna/identity/graph"
	"github.com/reuna/reuna/identity/id"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
	"github.com/reuna/reuna/storage/vault"
	"github.com/reuna/reuna/storage/verify"
)

// person is everything that is stored of one, decrypted. Sizes are bytes.
type person struct {
	Asked       string       `json:"asked"`
	View        string       `json:"view"`
	Identifiers []identifier `json:"identifiers"` // the representative first
	Facets      []facetInfo  `json:"facets"`
	Evidence    []evidence   `json:"evidence"`
	Sessions    []session    `json:"sessions"`
	Standings   []standing   `json:"standings"` // that of the representative; others until the next checkpoint
	Bytes       sizes        `json:"bytes"`
}

type identifier struct {
	Identifier string     `json:"identifier"`
	Hash       string     `json:"hash"`
	Facets     int        `json:"facets"`
	Erased     *time.Time `json:"erased,omitempty"` // it was erased before, and came back
	History    int        `json:"evidenceChunks"`   // of operators' evidence that has settled
	Tail       int        `json:"tailIndexEntries"` // sessions and evidence in the log
}

type facetInfo struct {
	Hash    string    `json:"hash"`
	Device  string    `json:"device,omitempty"`
	User    string    `json:"user,omitempty"`
	Trust   string    `json:"trust"`
	Counts  bool      `json:"counts"`    // it belongs to this person in the view, and not to another who shares an identifier
	Events  int64     `json:"events"`    // of people
	Bots    int64     `json:"botEvents"` // and of robots
	First   time.Time `json:"first"`
	Last    time.Time `json:"last"`
	Applied uint64    `json:"applied"` // last entry folded in
	Traits  int       `json:"traits"`
	Record  int       `json:"recordBytes"`
	Tail    int       `json:"tailIndexEntries"`
	Chunks  []chunk   `json:"chunks"`
}

type chunk struct {
	Month   string    `json:"month"`
	First   uint64    `json:"first"`
	Last    uint64    `json:"last"`
	Entries int       `json:"entries"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Plain   int       `json:"plainBytes"`
	Bytes   int       `json:"bytes"`
}

type evidence struct {
	A        string    `json:"a"`
	B        string    `json:"b"`
	Trust    string    `json:"trust"` // the strongest
	Earliest time.Time `json:"earliest"`
	Newest   time.Time `json:"newest"`
	Cut      bool      `json:"cut"`
}

type session struct {
	Device string    `json:"device"`
	User   string    `json:"user,omitempty"`
	Until  time.Time `json:"until"`
	Ended  bool      `json:"ended"`
	Seq    uint64    `json:"seq"`
}

type standing struct {
	Identifier string     `json:"identifier"`
	Audiences  []audience `json:"audiences"`
	Until      *time.Time `json:"until,omitempty"` // when it may change by itself
	Seq        uint64     `json:"seq"`             // the last entry that told of it
}

type audience struct {
	Number uint32    `json:"number"`
	Since  time.Time `json:"since"`
}

// sizes are the records of a person, keys and values. Entries that wait in the
// log's tail share their blocks with others and are not in it.
type sizes struct {
	Facets    int `json:"facets"`
	Histories int `json:"histories"`
	Evidence  int `json:"evidence"`
	Sessions  int `json:"sessions"`
	Standings int `json:"standings"`
	Indexes   int `json:"indexes"`
	Keys      int `json:"keys"`
}

func (s *sizes) all() int {
	return s.Facets + s.Histories + s.Evidence + s.Sessions + s.Standings + s.Indexes + s.Keys
}

// finder looks one person up.
type finder struct {
	packer *record.Packer
	f      *folder
	vault  *vault.Vault
	view   id.View
	months []keyspace.Month
	pairs  map[id.ID][]*graph.Pair
	err    error
	p      person
}

func (f *folder) person(ctx context.Context, asked string, view id.View) (*person, error) {
	x, err := f.identifier(asked)
	if err != nil {
		return nil, err
	}
	packer, err := record.NewPacker()
	if err != nil {
		return nil, err
	}
	defer packer.Close()
	g := finder{packer: packer, f: f, view: view, pairs: map[id.ID][]*graph.Pair{}}
	if g.vault, err = f.keys(); err != nil {
		return nil, err
	}
	if g.months, err = f.months(); err != nil {
		return nil, err
	}
	cluster, _ := graph.NewResolver(f.types(), graph.Options{}).Cluster(x, view, &g)
	if g.err != nil {
		return nil, g.err
	}
	g.p.Asked, g.p.View = x.String(), view.String()
	seen := map[keyspace.Hash]bool{}
	members := slices.Clone(cluster.Members)
	slices.SortStableFunc(members, func(a, b id.ID) int { // the representative first
		switch cluster.Representative {
		case a:
			return -1
		case b:
			return 1
		}
		return 0
	})
	for _, m := range members {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := g.member(m, cluster, seen); err != nil {
			return nil, err
		}
	}
	if len(g.p.Facets)+len(g.p.Evidence) == 0 {
		return nil, fmt.Errorf("nothing is stored about %s: check the type and the value; custom types need -config", x.Type)
	}
	slices.SortFunc(g.p.Facets, func(a, b facetInfo) int { return a.First.Compare(b.First) })
	return &g.p, nil
}

// identifier reads TYPE:VALUE.
func (f *folder) identifier(text string) (id.ID, error) {
	typ, value, ok := strings.Cut(text, ":")
	if !ok {
		return id.ID{}, fmt.Errorf("-person is %q: expected TYPE:VALUE, such as user_id:42 or email:ada@example.com", text)
	}
	x, verdict := f.types().Normalise(typ, value)
	if verdict != id.OK {
		return id.ID{}, fmt.Errorf("-person: %q is no %s that identifies anybody; types are %s, and more with -config", value, typ, strings.Join(f.types().Names(), ", "))
	}
	return x, nil
}

// months are those that histories have: one look for each.
func (f *folder) months() (list []keyspace.Month, err error) {
	lower, upper := keyspace.Bounds([]byte{byte(keyspace.History)})
	for more := true; more && err == nil; {
		more = false
		err = f.db.Iter(lower, upper, func(k, _ []byte) (bool, error) {
			m, _, _, _, err := keyspace.ParseHistory(k)
			list = append(list, m)
			lower, more = keyspace.AppendMonth(nil, m+1), true
			return false, err
		})
	}
	return list, err
}

// Pairs gives the resolver what is stored of x.
func (g *finder) Pairs(x id.ID) (list []*graph.Pair, loaded bool) {
	if list, ok := g.pairs[x]; ok || g.err != nil {
		return list, true
	}
	h := g.vault.Hash(x.Type, x.Value)
	g.err = g.each(keyspace.AppendPairPrefix(nil, h), func(k, v []byte) error {
		plain, err := g.open(h, k, v)
		if err != nil {
			return err
		}
		p, err := graph.DecodePair(plain)
		list = append(list, &p)
		return err
	})
	g.pairs[x] = list
	return list, true
}

func (g *finder) each(prefix []byte, fn func(k, v []byte) error) error {
	lower, upper := keyspace.Bounds(prefix)
	return g.f.db.Iter(lower, upper, func(k, v []byte) (bool, error) {
		err := fn(k, v)
		return err == nil, err
	})
}

func (g *finder) open(owner keyspace.Hash, k, v []byte) ([]byte, error) {
	key, err := g.vault.FacetKey(owner, false, nil)
	if err != nil {
		return nil, err
	}
	return key.Open(nil, v, k)
}

func (g *finder) member(x id.ID, c *graph.Cluster, seen map[keyspace.Hash]bool) error {
	h := g.vault.Hash(x.Type, x.Value)
	info := identifier{Identifier: x.String(), Hash: hex.EncodeToString(h[:])}
	g.key(h)
	var list []keyspace.Hash
	err := g.each(keyspace.AppendNodePrefix(nil, h), func(k, _ []byte) error {
		_, facet, err := keyspace.ParseNode(k)
		list = append(list, facet)
		g.p.Bytes.Indexes += len(k)
		return err
	})
	if err != nil {
		return err
	}
	info.Facets = len(list)
	for _, p := range g.pairs[x] {
		g.p.Bytes.Evidence += 33 + len(p.AppendBinary(nil)) + vault.Overhead
		if x == p.A || !slices.Contains(c.Members, p.A) { // each pair once
			g.p.Evidence = append(g.p.Evidence, evidenceOf(p, g.view))
		}
	}
	if info.Tail, err = g.tail(h); err != nil {
		return err
	}
	chunks, err := g.chunks(h)
	if err != nil {
		return err
	}
	info.History = len(chunks)
	if err := g.erased(h, &info); err != nil {
		return err
	}
	if err := g.session(x, h); err != nil {
		return err
	}
	if err := g.standing(x, h); err != nil {
		return err
	}
	g.p.Identifiers = append(g.p.Identifiers, info)
	for _, facet := range list {
		if seen[facet] {
			continue
		}
		seen[facet] = true
		if err := g.facet(facet, c); err != nil {
			return err
		}
	}
	return nil
}

func evidenceOf(p *graph.Pair, v id.View) evidence {
	e := evidence{A: p.A.String(), B: p.B.String(), Trust: p.Trust().String(), Cut: len(p.Cuts(v)) > 0}
	first := true
	for t := id.Claimed; t <= id.Admin; t++ {
		earliest, newest, ok := p.Span(t)
		if !ok {
			continue
		}
		if at := moment(earliest.Time); first || at.Before(e.Earliest) {
			e.Earliest = at
		}
		if at := moment(newest.Time); first || at.After(e.Newest) {
			e.Newest = at
		}
		first = false
	}
	return e
}

func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// key counts an owner's wrapped key.
func (g *finder) key(h keyspace.Hash) {
	place := keyspace.AppendVault(nil, keyspace.VaultFacet, h[:])
	// One that cannot be read shows at what it seals.
	_, err := g.f.db.Get(place, func(v []byte) error { g.p.Bytes.Keys += len(place) + len(v); return nil })
	g.err = errors.Join(g.err, err)
}

// tail counts an owner's index entries.
func (g *finder) tail(h keyspace.Hash) (n int, err error) {
	err = g.each(keyspace.AppendEventPrefix(nil, h), func(k, _ []byte) error {
		n++
		g.p.Bytes.Indexes += len(k)
		return nil
	})
	return n, err
}

func (g *finder) chunks(h keyspace.Hash) (list []chunk, err error) {
	for _, m := range g.months {
		err := g.each(keyspace.AppendHistoryPrefix(nil, m, h), func(k, v []byte) error {
			_, _, _, first, err := keyspace.ParseHistory(k)
			if err != nil {
				return err
			}
			x, _, err := record.ParseChunkHeader(v, first)
			if err != nil {
				return err
			}
			list = append(list, chunk{
				Month: moment(m.Begin()).Format("2006-01"), First: first, Last: x.Last, Entries: x.Count,
				From: moment(x.MinTime), To: moment(x.MaxTime), Plain: x.Bytes, Bytes: len(k) + len(v),
			})
			g.p.Bytes.Histories += len(k) + len(v)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (g *finder) erased(h keyspace.Hash, info *identifier) error {
	_, err := g.f.db.Get(keyspace.AppendTombstone(nil, h), func(v []byte) error {
		r := record.NewReader(v)
		r.Version("tombstone", 1)
		at := moment(r.Varint())
		info.Erased = &at
		return r.Err()
	})
	return err
}

func (g *finder) session(x id.ID, h keyspace.Hash) error {
	k := keyspace.AppendSession(nil, h)
	_, err := g.f.db.Get(k, func(v []byte) error {
		plain, err := g.open(h, k, v)
		if err != nil {
			return err
		}
		g.p.Bytes.Sessions += len(k) + len(v)
		r := record.NewReader(plain)
		version := r.Version("session", 2)
		s := session{Device: x.Value, Seq: r.Uvarint()}
		s.User, s.Until = r.String(), moment(r.Varint())
		r.Fixed(16) // its token
		s.Ended = r.Byte() == 1
		if version > 1 {
			r.Fixed(16) // its login
		}
		g.p.Sessions = append(g.p.Sessions, s)
		return r.Done("session")
	})
	return err
}

func (g *finder) standing(x id.ID, h keyspace.Hash) error {
	k := keyspace.AppendStanding(nil, h)
	_, err := g.f.db.Get(k, func(v []byte) error {
		plain, err := g.open(h, k, v)
		if err != nil {
			return err
		}
		st, err := verify.ReadStanding(plain)
		if err != nil {
			return err
		}
		g.p.Bytes.Standings += len(k) + len(v)
		y := standing{Identifier: x.String(), Seq: st.Seq, Audiences: []audience{}}
		for _, m := range st.In {
			y.Audiences = append(y.Audiences, audience{m.Audience, moment(m.Since)})
			g.p.Bytes.Indexes += len(keyspace.AppendMember(nil, m.Audience, h))
		}
		if st.Until != math.MaxInt64 {
			at := moment(st.Until)
			y.Until = &at
			g.p.Bytes.Indexes += len(keyspace.AppendDue(nil, 0, h))
		}
		g.p.Standings = append(g.p.Standings, y)
		return nil
	})
	return err
}

func (g *finder) facet(h keyspace.Hash, c *graph.Cluster) error {
	k := keyspace.AppendFacet(nil, h)
	found, err := g.f.db.Get(k, func(v []byte) error {
		plain, err := g.open(h, k, v)
		if err != nil {
			return err
		}
		x, applied, err := verify.ReadFacet(g.packer, plain)
		if err != nil {
			return err
		}
		g.p.Bytes.Facets += len(k) + len(v)
		_, counts := slices.BinarySearchFunc(c.Members, x.Key.Owner(g.view, g.isCut(x.Key)), id.Compare)
		g.p.Facets = append(g.p.Facets, facetInfo{
			Hash: hex.EncodeToString(h[:]), Device: x.Key.AnonymousID, User: x.Key.UserID, Trust: x.Key.Trust.String(), Counts: counts,
			Events: x.Events, Bots: x.BotEvents, First: moment(x.First), Last: moment(x.Last), Applied: applied, Traits: len(x.Traits), Record: len(v),
		})
		return nil
	})
	if err != nil {
		return fmt.Errorf("facet %x: %w", h, err)
	}
	if !found {
		return fmt.Errorf("facet %x is named by its identifier and is not there: run with -verify", h)
	}
	g.key(h)
	info := &g.p.Facets[len(g.p.Facets)-1]
	if info.Tail, err = g.tail(h); err != nil {
		return err
	}
	info.Chunks, err = g.chunks(h)
	return err
}

func (g *finder) isCut(k facet.Key) bool {
	user := id.ID{Type: id.UserID, Value: k.UserID}
	if k.UserID == "" || k.AnonymousID == "" {
		return false
	}
	list, _ := g.Pairs(id.ID{Type: id.AnonymousID, Value: k.AnonymousID})
	return slices.ContainsFunc(list, func(p *graph.Pair) bool {
		return (p.A == user || p.B == user) && len(p.Cuts(g.view)) > 0
	})
}
