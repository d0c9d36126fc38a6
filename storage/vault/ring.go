package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/reuna/reuna/storage/record"
)

// Wrapping keys come in groups, so that the key table is rewritten in small
// pieces when somebody is erased: one of 1,024 for an owner's key, by the first
// ten bits of its hash, and one for the log's epoch keys.
const (
	ownerGroups = 1024
	// LogGroup is the group of the log's epoch keys.
	LogGroup = ownerGroups
	// Groups is the number of groups; they are counted from 0.
	Groups = ownerGroups + 1

	noGroup = -1 // of the one wrapping key that a folder of format 1 had
)

// GroupOf is the group of the key of the owner (a facet, an identifier, a
// refused message) with that hash.
func GroupOf(hash [16]byte) int { return int(hash[0])<<2 | int(hash[1])>>6 }

// wrapKey is a wrapping key; what it wraps belongs to its group.
type wrapKey struct {
	*Key
	group int
}

// ring holds the wrapping keys in memory and lets the group that is being
// rewritten and those who write its records take turns.
//
// Invariants:
//   - The current key of a group is the one with the highest id, so the highest
//     id of all is never deleted and no id is ever used twice.
//   - A record of a group is put into a batch between enter and leave, and leave
//     comes after the batch has ended. While a group is closed nobody is between
//     the two. So what the rewriter reads there stays so until it has written it
//     anew: it neither brings back a key that was dropped nor hides a new one.
//   - Who entered after the current key changed uses the new one. So once a
//     group was closed after the change, no batch carries a record under an old one.
//
// Entering waits only for a closed group, which waits for nobody. A closing
// group waits without keeping others out: one batch may touch a group many
// times, and could never end if its second touch had to wait for its first.
type ring struct {
	mu      sync.Mutex // never held over I/O
	turn    sync.Cond  // a group was opened, or emptied
	master  masterKey
	byID    map[uint32]wrapKey
	current [Groups]*Key
	entered [Groups]int
	closed  [Groups]bool
	closing int // who wait for a group to empty
	last    uint32
}

func (r *ring) init(m masterKey) {
	r.master, r.byID = m, make(map[uint32]wrapKey, Groups)
	r.turn.L = &r.mu
}

// add makes k known, and current when it is the newest of its group.
func (r *ring) add(k wrapKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byID[k.id] = k
	r.last = max(r.last, k.id)
	if k.group != noGroup && (r.current[k.group] == nil || r.current[k.group].id < k.id) {
		r.current[k.group] = k.Key
	}
}

// find gives the wrapping key with that id; nil when there is none.
func (r *ring) find(id uint32) *Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id == 0 {
		return r.master.root
	}
	return r.byID[id].Key
}

func (r *ring) currentOf(group int) *Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.current[group]
}

func (r *ring) newest() uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

func (r *ring) masterKey() masterKey {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.master
}

func (r *ring) setMaster(m masterKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.master = m
}

// outdated lists the keys of group that are no longer its current one.
func (r *ring) outdated(group int) (ids []uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, k := range r.byID {
		if k.group == group && (group == noGroup || r.current[group].id != id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// unfinished lists the groups that have outdated keys.
func (r *ring) unfinished() (groups []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, k := range r.byID {
		if k.group != noGroup && r.current[k.group].id != id {
			groups = append(groups, k.group)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups)
}

func (r *ring) forget(ids []uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range ids {
		delete(r.byID, id)
	}
}

// enter gives the wrapping key for a record of the group that goes into a
// batch. When the batch has ended leave must be called.
func (r *ring) enter(group int) *Key {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.closed[group] {
		r.turn.Wait()
	}
	r.entered[group]++
	return r.current[group]
}

func (r *ring) leave(group int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.entered[group]--
	if r.entered[group] == 0 && r.closing > 0 {
		r.turn.Broadcast()
	}
}

// close keeps everybody out of the group, once nobody is in.
func (r *ring) close(ctx context.Context, group int) error {
	wake := context.AfterFunc(ctx, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.turn.Broadcast()
	})
	defer wake()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closing++
	defer func() { r.closing-- }()
	for r.entered[group] > 0 && ctx.Err() == nil {
		r.turn.Wait()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	r.closed[group] = true
	return nil
}

func (r *ring) open(group int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed[group] = false
	r.turn.Broadcast()
}

// complete says whether every group has a key.
func (r *ring) complete() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for g, k := range r.current {
		if k == nil {
			return fmt.Errorf("wrapping key of group %d: %w: a folder of format 1 has none until storage/migrate has brought it up", g, ErrNoKey)
		}
	}
	return nil
}

// appendGroup appends a wrapping key's group to its 32 bytes.
func appendGroup(raw []byte, group int) []byte {
	return record.AppendUvarint(raw, uint64(group)+1)
}

// parseGroup reads what follows a wrapping key's 32 bytes: nothing in format 1.
func parseGroup(rest []byte) (group int, err error) {
	if len(rest) == 0 {
		return noGroup, nil
	}
	r := record.NewReader(rest)
	n := r.Uvarint()
	if err := r.Done("group of a wrapping key"); err != nil {
		return 0, err
	}
	if n == 0 || n > Groups {
		return 0, fmt.Errorf("group of a wrapping key: %w: %d, wanted 1 to %d", record.ErrMalformed, n, Groups)
	}
	return int(n) - 1, nil
}

// retiredError says that a record's wrapping key is not there. Where the record
// was read just before its group was rewritten, it has a newer one by now.
type retiredError struct{ id uint32 }

func (e *retiredError) Error() string { return fmt.Sprintf("wrapping key %d: %v", e.id, ErrNoKey) }
func (e *retiredError) Unwrap() error { return ErrNoKey }

// rereading calls read again as long as each time a newer wrapping key was
// missing: its record has been rewritten in between.
func rereading(read func() error) error {
	newest := uint32(0)
	for {
		err := read()
		var gone *retiredError
		if !errors.As(err, &gone) || gone.id <= newest {
			return err
		}
		newest = gone.id
	}
}
