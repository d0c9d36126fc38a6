package people

import (
	"context"
	"fmt"
	"slices"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/vault"
)

// Shred takes an erased person's data off the disk. progress, when it is not
// nil, hears what is being done. It may be repeated.
func (s *Store) Shred(ctx context.Context, e *Erasure, progress func(step string, done, total int)) error {
	return s.ShredAll(ctx, []*Erasure{e}, progress)
}

// ShredAll is Shred for several erasures at about the cost of one: most of it is
// the rewriting of tables, which they share.
func (s *Store) ShredAll(ctx context.Context, list []*Erasure, progress func(step string, done, total int)) error {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	list = slices.DeleteFunc(slices.Clone(list), func(e *Erasure) bool { return e.Done })
	var groups []int
	var ranges []engine.Range
	for i, e := range list {
		progress("overwriting", i, len(list))
		n, err := s.o.Log.Overwrite(e.Entries, []byte{entryErased})
		if err != nil {
			return fmt.Errorf("people: shredding: %w", err)
		}
		own := groupsOf(e.Keys)
		groups = append(groups, own...)
		tables := s.shredRanges(e)
		ranges = append(ranges, tables...)
		e.Counts.Overwritten = max(e.Counts.Overwritten, int64(n))
		e.Counts.Keys, e.Counts.Groups, e.Counts.Ranges = int64(len(e.Keys)), int64(len(own)), int64(len(tables))
	}
	if len(list) == 0 {
		return nil
	}
	slices.Sort(groups)
	err := s.o.Vault.Rewrap(ctx, slices.Compact(groups), func(done, total int) { progress("keys", done, total) })
	if err == nil {
		err = s.o.DB.Scrub(ctx, ranges, func(done, total int) { progress("rewriting", done, total) })
	}
	if err != nil {
		return fmt.Errorf("people: shredding: %w", err)
	}
	return nil
}

// groupsOf are the groups of wrapped keys that the owners' are in.
func groupsOf(owners []Hash) (groups []int) {
	for _, h := range owners {
		groups = append(groups, vault.GroupOf(h))
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

// shredRanges are the keys whose old values must leave the tables.
func (s *Store) shredRanges(e *Erasure) (list []engine.Range) {
	add := func(prefix []byte) {
		lower, upper := keyspace.Bounds(prefix)
		list = append(list, engine.Range{Lower: lower, Upper: upper})
	}
	s.mu.Lock()
	months := s.months
	s.mu.Unlock()
	for _, h := range slices.Concat(e.Identifiers, e.Facets) {
		add(keyspace.AppendEventPrefix(nil, h))
		for _, m := range months {
			add(keyspace.AppendHistoryPrefix(nil, m, h))
		}
	}
	for _, h := range e.Facets {
		add(keyspace.AppendFacet(nil, h))
	}
	for _, h := range e.Identifiers {
		add(keyspace.AppendNodePrefix(nil, h))
		add(keyspace.AppendPairPrefix(nil, h))
		add(keyspace.AppendSession(nil, h))
		add(keyspace.AppendStanding(nil, h))
	}
	for _, h := range e.Keys {
		add(keyspace.AppendVault(nil, keyspace.VaultFacet, h[:]))
	}
	if len(e.Entries) > 0 {
		lower, upper := s.o.Log.Blocks(e.Entries[0], e.Entries[len(e.Entries)-1])
		list = append(list, engine.Range{Lower: lower, Upper: upper})
	}
	if e.Counts.Refused > 0 {
		add(keyspace.AppendSpace(nil, keyspace.Quarantine))
	}
	if e.Counts.Sessions > 0 {
		add(keyspace.AppendSpace(nil, keyspace.Session))
	}
	// The other sides of pairs stand under other identifiers: the whole space.
	if e.Counts.Evidence > 0 {
		add(keyspace.AppendSpace(nil, keyspace.Pair))
	}
	return list
}
