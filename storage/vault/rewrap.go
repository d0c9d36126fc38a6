package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/reuna/reuna/storage/engine"
	"github.com/reuna/reuna/storage/keyspace"
)

const (
	// A batch of rewritten records, and what is read for it, stays below this:
	// the group is closed for so long, and an event's fsync may have to carry it.
	rewriteBytes = 128 << 10
	// So many groups share the two fsyncs that rewriting takes.
	rewriteRun = 16
)

// Rewrap gives each of the groups a new wrapping key, rewrites the group's
// records under it and destroys the old one, so that a wrapped key which was
// deleted there opens nothing any more, wherever its bytes may still lie.
// progress, which may be nil, is told how many groups are done.
//
// Everything else goes on meanwhile. The caller must hold no open batch that
// makes or drops a key of these groups: Rewrap waits for such batches to end, or
// for ctx. When it stops early, or the power fails, everything stays readable;
// Unfinished then names the groups whose old keys are still there, and a Rewrap
// of these finishes the work.
//
// The bytes of deleted records are gone from the disk only after a flush and a
// compaction of the vault's key space, which are the caller's.
func (v *Vault) Rewrap(ctx context.Context, groups []int, progress func(done, total int)) error {
	if v.db.ReadOnly() {
		return engine.ErrReadOnly
	}
	groups = slices.Compact(slices.Sorted(slices.Values(groups)))
	for _, g := range groups {
		if g < 0 || g >= Groups {
			return fmt.Errorf("vault: group %d: wanted 0 to %d", g, Groups-1)
		}
	}
	done := 0
	for run := range slices.Chunk(groups, rewriteRun) {
		if err := v.rewrapRun(ctx, run); err != nil {
			return fmt.Errorf("vault: rewrapping, %d of %d groups done: %w", done, len(groups), err)
		}
		done += len(run)
		if progress != nil {
			progress(done, len(groups))
		}
	}
	return nil
}

func (v *Vault) rewrapRun(ctx context.Context, groups []int) error {
	v.change.Lock()
	defer v.change.Unlock()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if err := v.makeWraps(groups); err != nil {
		return err
	}
	var old []uint32
	for _, g := range groups {
		if err := v.rewrite(ctx, g); err != nil {
			return err
		}
		old = append(old, v.ring.outdated(g)...)
	}
	return v.dropWraps(old)
}

// Unfinished lists the groups that have more than one wrapping key, as a Rewrap
// leaves them that was interrupted.
func (v *Vault) Unfinished() []int { return v.ring.unfinished() }

// Regroup gives a folder of format 1 its groups: their wrapping keys are made,
// every record is rewritten under its group's, and the one wrapping key that
// there was is destroyed. It may be called again after it was interrupted. The
// folder must not be open in a Vault.
func Regroup(db *engine.DB, master []byte, progress func(done, total int)) error {
	v, err := openAny(db, master)
	if err != nil {
		return err
	}
	if db.ReadOnly() {
		return engine.ErrReadOnly
	}
	v.change.Lock()
	defer v.change.Unlock()
	var missing []int
	for g := range Groups {
		if v.ring.currentOf(g) == nil {
			missing = append(missing, g)
		}
	}
	if err := v.makeWraps(missing); err != nil {
		return fmt.Errorf("vault: making the groups: %w", err)
	}
	for g := range Groups {
		if err := v.rewrite(context.Background(), g); err != nil {
			return fmt.Errorf("vault: grouping, %d of %d groups done: %w", g, Groups, err)
		}
		if progress != nil {
			progress(g+1, Groups)
		}
	}
	if err := v.dropWraps(v.ring.outdated(noGroup)); err != nil {
		return fmt.Errorf("vault: destroying the key of no group: %w", err)
	}
	return nil
}

// makeWraps gives each group a new current key, synced to disk before its use.
// The caller holds change.
func (v *Vault) makeWraps(groups []int) error {
	b := v.db.NewBatch()
	defer b.Discard()
	made, err := v.putWraps(b, groups)
	if err != nil || len(made) == 0 {
		return err
	}
	if err := b.Commit(true); err != nil {
		return err
	}
	for _, k := range made {
		v.ring.add(k)
	}
	return nil
}

// dropWraps destroys wrapping keys. Its sync covers every rewritten record,
// which were committed before: the store keeps a prefix of the batches.
func (v *Vault) dropWraps(ids []uint32) error {
	if len(ids) == 0 {
		return nil
	}
	b := v.db.NewBatch()
	defer b.Discard()
	for _, id := range ids {
		b.Delete(keyspace.AppendVaultID(nil, keyspace.VaultWrap, id))
	}
	if err := b.Commit(true); err != nil {
		return err
	}
	v.ring.forget(ids)
	return nil
}

// rewrite brings every record of a group under its current key.
func (v *Vault) rewrite(ctx context.Context, group int) error {
	lower, upper := groupBounds(group)
	for len(lower) > 0 {
		var err error
		if lower, err = v.rewriteSome(ctx, group, lower, upper); err != nil {
			return err
		}
	}
	return nil
}

// rewriteSome rewrites about rewriteBytes from lower on, and gives the lower
// bound of the rest; nothing when there is none.
func (v *Vault) rewriteSome(ctx context.Context, group int, lower, upper []byte) (rest []byte, err error) {
	if err := v.ring.close(ctx, group); err != nil {
		return nil, fmt.Errorf("group %d: waiting for the batches under way: %w", group, err)
	}
	defer v.ring.open(group)
	by := v.ring.currentOf(group)
	b := v.db.NewBatch()
	defer b.Discard()
	read := 0
	err = v.db.Iter(lower, upper, func(k, val []byte) (bool, error) {
		id, _, err := splitWrapped(val)
		if err == nil && id != by.id {
			var secret []byte
			secret, err = v.unwrap(val, k)
			if err == nil {
				b.Set(k, wrap(by, secret, k))
			}
		}
		if err != nil {
			return false, fmt.Errorf("wrapped key %x: %w", k, err)
		}
		read += len(k) + len(val)
		if read < rewriteBytes {
			return true, nil
		}
		rest = append(slices.Clone(k), 0)
		return false, nil
	})
	if err == nil && b.Count() > 0 {
		err = b.Commit(false)
	}
	if err != nil {
		return nil, err
	}
	return rest, nil
}

// groupBounds is the range of the keys whose values a group's key wraps.
func groupBounds(group int) (lower, upper []byte) {
	if group == LogGroup {
		return keyspace.Bounds(keyspace.AppendVault(nil, keyspace.VaultEpoch, nil))
	}
	first := func(g int) []byte {
		return keyspace.AppendVault(nil, keyspace.VaultFacet, []byte{byte(g >> 2), byte(g << 6)})
	}
	lower, upper = first(group), first(group+1)
	if group == ownerGroups-1 {
		_, upper = keyspace.Bounds(keyspace.AppendVault(nil, keyspace.VaultFacet, nil))
	}
	return lower, upper
}

// RotateMaster has the folder opened by another 32-byte master key from now on:
// everything that the old one wraps is rewritten in one synced batch. Whatever
// the outcome, exactly one of the two opens the folder afterwards. The bytes
// that the old one opens are gone from the disk only after a flush and a
// compaction of the vault's key space, which are the caller's.
func (v *Vault) RotateMaster(next []byte) error {
	m, err := newMaster(next)
	if err != nil {
		return err
	}
	if v.db.ReadOnly() {
		return engine.ErrReadOnly
	}
	v.change.Lock()
	defer v.change.Unlock()
	if m.print == v.ring.masterKey().print {
		return errors.New("vault: the new master key is the one in use: make another")
	}
	b := v.db.NewBatch()
	defer b.Discard()
	m.put(b, v.install)
	lower, upper := keyspace.Bounds(keyspace.AppendVault(nil, keyspace.VaultWrap, nil))
	err = v.db.Iter(lower, upper, func(k, val []byte) (bool, error) {
		secret, err := v.unwrap(val, k)
		if err != nil {
			return false, fmt.Errorf("wrapped key %x: %w", k, err)
		}
		b.Set(k, wrap(m.root, secret, k))
		return true, nil
	})
	if err == nil {
		err = b.Commit(true)
	}
	if err != nil {
		return fmt.Errorf("vault: rotating the master key: %w", err)
	}
	v.ring.setMaster(m)
	return nil
}
