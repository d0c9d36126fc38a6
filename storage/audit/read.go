package audit

import (
	"context"
	"errors"
	"strings"

	"github.com/reuna/reuna/storage/keyspace"
)

// Query says which entries to read. The zero Query reads all, newest first.
type Query struct {
	From   uint64 // oldest first from this number on; 0: newest first
	Before uint64 // only numbers below this one; 0: no bound
	Limit  int    // at most so many; 0: no bound
	Actor  string // whose; "": everybody's
	Action string // exactly this; with a dot at its end, all that begin with it; "": any
	Object string // of whom or what; "": any
}

func (q *Query) takes(r *Record) bool {
	if r.Fault != "" {
		return true
	}
	action := q.Action == "" || r.Action == q.Action ||
		strings.HasSuffix(q.Action, ".") && strings.HasPrefix(r.Action, q.Action)
	return action && (q.Actor == "" || r.Actor == q.Actor) && (q.Object == "" || r.Object == q.Object)
}

// Read gives the durable entries that q asks for to fn, which may keep them,
// until it says no more. An entry that does not open comes with its number and
// Fault only, whatever the filter: damage is shown. A filter looks at each
// entry, about half a million a second.
func (l *Log) Read(ctx context.Context, q Query, fn func(Record) (more bool, err error)) error {
	l.mu.Lock()
	last := l.tip.n
	l.mu.Unlock()
	before := last + 1
	if q.Before > 0 {
		before = min(before, q.Before)
	}
	from, walk := max(q.From, 1), l.db.Iter
	if q.From == 0 {
		walk = l.db.IterReverse
	}
	if from >= before {
		return nil
	}
	var scratch []byte
	given, seen := 0, 0
	return walk(keyspace.AppendAudit(nil, from), keyspace.AppendAudit(nil, before), func(k, v []byte) (bool, error) {
		if seen++; seen%HeadInterval == 0 && ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		r, err := l.openAt(k, v, &scratch)
		if err != nil {
			r.Fault = err.Error()
		}
		if !q.takes(&r) {
			return true, nil
		}
		given++
		more, err := fn(r)
		return more && (q.Limit <= 0 || given < q.Limit), err
	})
}

// openAt opens what stands at a key of the space. With an error only N is set,
// when the key has one.
func (l *Log) openAt(k, v []byte, scratch *[]byte) (Record, error) {
	n, err := keyspace.ParseAudit(k)
	if err != nil {
		return Record{}, errors.New("a key that is none of the log's: " + err.Error())
	}
	if cap(*scratch) < len(v) {
		*scratch = make([]byte, 0, 2*len(v))
	}
	r, err := l.open(n, v, *scratch)
	r.N = n
	return r, err
}
