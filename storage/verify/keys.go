package verify

import (
	"encoding/binary"

	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

func keyNumber(id []byte) uint32 { return binary.BigEndian.Uint32(id) }

// checkKeyTable checks the shape of every wrapped key, and that the wrapping
// key that it names is there.
func (c *checker) checkKeyTable() error {
	c.wraps = map[uint32]bool{0: true} // the master key's own
	install := false
	read := func(k, v []byte) (kind byte, id []byte, by uint64, ok bool) {
		kind, id, err := keyspace.ParseVault(k)
		if err != nil {
			return 0, nil, 0, false
		}
		r := record.NewReader(v)
		r.Version("wrapped key", 1)
		by = r.Uvarint()
		if err := r.Err(); err != nil {
			c.fault(k, "%v", err)
			return 0, nil, 0, false
		}
		return kind, id, by, true
	}
	lower, upper := keyspace.Bounds(keyspace.AppendVault(nil, keyspace.VaultWrap, nil))
	err := c.walk("reading wrapping keys", lower, upper, uint64(c.report.WrapGroups), func(k, v []byte) {
		if _, id, by, ok := read(k, v); ok {
			c.wraps[keyNumber(id)] = true
			if by != 0 {
				c.fault(k, "is wrapped by wrapping key %d: expected the master key", by)
			}
		}
	})
	if err != nil {
		return err
	}
	return joinErr(c.walkSpace("reading the key table", keyspace.VaultKey, func(k, v []byte) {
		kind, _, by, ok := read(k, v)
		if ok && (by > 1<<32-1 || !c.wraps[uint32(by)]) {
			c.fault(k, "is wrapped by wrapping key %d, which is not there", by)
		}
		install = install || kind == keyspace.VaultInstall
	}), func() {
		if !install {
			c.fault(keyspace.AppendVault(nil, keyspace.VaultInstall, nil), "is missing: hashes cannot be made without it")
		}
	})
}

func joinErr(err error, then func()) error {
	if err == nil {
		then()
	}
	return err
}

// checkKeys opens each owner's key, and tells those that seal nothing.
func (c *checker) checkKeys(p *part) error {
	lower, upper := p.bounds(keyspace.AppendVault(nil, keyspace.VaultFacet, nil))
	return c.walk("opening keys", lower, upper, c.report.OwnerKeys/uint64(p.of), func(k, _ []byte) {
		_, id, err := keyspace.ParseVault(k)
		if err != nil {
			return
		}
		h := Hash(id)
		if _, err := c.o.Vault.FacetKey(h, false, nil); err != nil {
			c.fault(k, "%v", err)
			return
		}
		if _, ok := p.used[h]; !ok {
			c.warn(k, "seals nothing: the key is an orphan")
		}
	})
}

// checkQuarantine makes sure that each refused message is to be had: from the
// log, or from its own sealed value.
func (c *checker) checkQuarantine(p *part) error {
	err := c.walkSpace("reading the quarantine", keyspace.Quarantine, func(k, v []byte) {
		seq, err := keyspace.ParseQuarantine(k)
		if err != nil {
			return
		}
		if len(v) > 0 {
			c.checkRefused(p, k, seq, v)
			return
		}
		if !p.first() {
			return
		}
		if _, ok := p.refused[seq]; !ok {
			c.fault(k, "leads to entry %d, which is no refused message that waits in the log", seq)
			return
		}
		p.refused[seq] = true
	})
	if err != nil {
		return err
	}
	for seq, seen := range p.refused {
		if !seen && seq <= c.people {
			c.fault(keyspace.AppendQuarantine(nil, seq), "is missing: entry %d is a refused message", seq)
		}
	}
	return nil
}

func (c *checker) checkRefused(p *part, k []byte, seq uint64, v []byte) {
	owner := c.refusedHash(seq)
	if p.has(owner) {
		p.used[owner] = struct{}{}
	}
	if !p.first() {
		return
	}
	r := record.NewReader(v)
	r.Version("refused message", 1)
	r.Varint()
	if err := r.Err(); err != nil {
		c.fault(k, "%v", err)
		return
	}
	head := v[:len(v)-r.Len()]
	key, err := c.o.Vault.FacetKey(owner, false, nil)
	if err != nil {
		c.fault(k, "%v", err)
		return
	}
	plain, err := key.Open(nil, v[len(head):], append(append([]byte{}, k...), head...))
	if err != nil {
		c.fault(k, "%v", err)
		return
	}
	var e entry
	if err := parseEntry(&e, plain); err != nil || e.kind != kindRefused {
		c.fault(k, "holds no refused message: kind %d, %v", e.kind, err)
		return
	}
	if _, ok := p.refused[seq]; ok {
		p.refused[seq] = true // settled ahead of the cursor
	}
}

// checkDedupe checks the memory of messages taken.
func (c *checker) checkDedupe() error {
	return c.walkSpace("reading messages taken", keyspace.Dedupe, func(k, v []byte) {
		r := record.NewReader(v)
		r.Version("message taken", 1)
		r.Varint()
		if err := r.Done("message taken"); err != nil {
			c.fault(k, "%v", err)
		}
	})
}
