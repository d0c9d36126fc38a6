package main

import (
	"time"

	"github.com/reuna/reuna/storage/record"
)

// headerBytes is what a chunk's header takes, about.
const headerBytes = 15

// grown is what a month looks like that settled hour by hour.
type grown struct {
	bytes  float64 // an event, key, header and seal included
	chunks float64 // an owner
	cpu    time.Duration
}

// settle lets each hour's events join their owner's newest chunk, as long as
// it has fewer than limit bytes of entries, and gives what a month of that costs.
func settle(entries []entry, p packing, limit int) (grown, error) {
	enc, dec, err := p.codec()
	if err != nil {
		return grown{}, err
	}
	defer dec.Close()
	seal, err := newGCM()
	if err != nil {
		return grown{}, err
	}
	const hour = 3600_000
	type tail struct {
		plain  int
		sealed []byte
	}
	newest := map[int]*tail{}
	total, chunks := 0, 0
	var spent time.Duration
	var packed, plain []byte
	packed = enc.EncodeAll([]byte("first"), packed) // the encoder makes its tables
	flush := func(owner int, add []byte) error {
		t := newest[owner]
		start := cpu()
		plain = plain[:0]
		if t != nil && t.plain < limit {
			total -= len(t.sealed) + chunkKey + headerBytes
			chunks--
			opened, err := seal.Open(packed[:0], t.sealed, nil)
			if err == nil {
				plain, err = dec.DecodeAll(opened, plain)
			}
			if err != nil {
				return err
			}
			packed = opened
		} else {
			t = new(tail)
			newest[owner] = t
		}
		plain = append(plain, add...)
		packed = enc.EncodeAll(plain, packed[:0])
		t.plain, t.sealed = len(plain), seal.Seal(t.sealed[:0], packed, nil)
		spent += cpu() - start
		total += len(t.sealed) + chunkKey + headerBytes
		chunks++
		return nil
	}
	waiting := map[int][]byte{}
	var until int64
	drain := func() error {
		for owner, add := range waiting {
			if err := flush(owner, add); err != nil {
				return err
			}
		}
		clear(waiting)
		return nil
	}
	owners := map[int]bool{}
	for i := range entries {
		e := &entries[i]
		owners[e.owner] = true
		if e.receivedAt >= until {
			if err := drain(); err != nil {
				return grown{}, err
			}
			until = e.receivedAt - e.receivedAt%hour + hour
		}
		b := waiting[e.owner]
		b = record.AppendUvarint(record.AppendUvarint(b, uint64(len(e.bytes))), 500)
		b = record.AppendVarint(record.AppendVarint(b, 30_000), e.eventTime-e.receivedAt)
		waiting[e.owner] = append(b, e.bytes...)
	}
	if err := drain(); err != nil {
		return grown{}, err
	}
	total -= chunks * magicBytes
	n := len(entries)
	return grown{float64(total) / float64(n), float64(chunks) / float64(len(owners)), spent / time.Duration(n)}, nil
}
