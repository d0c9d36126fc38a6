package verify

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"

	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// checkDefinitions opens every record about definitions, counts the versions of
// each, and makes sure that no series or audience has a number that is still
// to be given.
func (c *checker) checkDefinitions() error {
	block, err := aes.NewCipher(c.o.Vault.Subkey("definitions"))
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return err
	}
	var before []byte // the definition of the version before
	var version uint32
	given := map[byte]uint64{}   // by kind
	highest := map[byte]uint64{} // that is in use
	prints := map[string]bool{}
	err = c.walkSpace("opening definitions", keyspace.Definition, func(k, v []byte) {
		kind, rest, err := keyspace.ParseDefinition(k)
		if err != nil {
			return // the survey has told it
		}
		r := record.NewReader(v)
		r.Version("a definition's record", 1)
		if err := r.Err(); err != nil {
			c.fault(k, "%v", err)
			return
		}
		plain, err := aead.Open(nil, nil, r.Rest(), append([]byte("reuna definition "), k...))
		if err != nil {
			c.fault(k, "does not open: %v", err)
			return
		}
		r = record.NewReader(plain)
		switch kind {
		case keyspace.DefinitionVersion:
			of, number := rest[:16], binary.BigEndian.Uint32(rest[16:])
			if !bytes.Equal(of, before) {
				before, version = bytes.Clone(of), 0
			}
			if number != version+1 {
				c.fault(k, "is version %d of a definition, behind version %d: those between are missing", number, version)
			}
			version = number
			name, title := r.String(), r.String()
			r.Bytes()
			source := r.String()
			said, _, deleted := r.Uvarint(), r.Varint(), r.Byte()
			if deleted == 0 {
				r.Bytes()
			}
			if h := c.o.Vault.HashKey("definition", name, title); r.Err() == nil &&
				(said != uint64(number) || deleted > 1 || source != "file" && source != "api" || !bytes.Equal(h[:], of)) {
				c.fault(k, "says version %d from %q, deleted %d: not what its key says, or nothing that is written", said, source, deleted)
			}
		case keyspace.DefinitionSeries, keyspace.DefinitionAudience:
			id := r.Uvarint()
			text := r.String()
			if kind == keyspace.DefinitionSeries {
				if state := r.Byte(); r.Err() == nil && (state < 1 || state > 3) {
					c.fault(k, "is a series in state %d: expected 1 to 3", state)
				}
				r.Uvarint()
			} else {
				r.Bytes()
			}
			if r.Err() == nil && id != uint64(binary.BigEndian.Uint32(rest)) {
				c.fault(k, "says that it is number %d", id)
			}
			if same := string(kind) + text; prints[same] {
				c.fault(k, "is the second of what it is called")
			} else {
				prints[same] = true
			}
			highest[kind] = max(highest[kind], id)
		case keyspace.DefinitionJob:
			name := r.String()
			for n := r.Uvarint(); n > 0 && r.Err() == nil; n-- {
				r.Uvarint()
			}
			r.Uvarint()
			r.Fixed(16)
			r.Varint()
			r.Uvarint()
			r.Varint()
			r.Varint()
			if h := c.o.Vault.HashKey("definition job", name); r.Err() == nil && !bytes.Equal(h[:], rest) {
				c.fault(k, "is a job that stands under another name's key")
			}
		case keyspace.DefinitionCounters:
			given[keyspace.DefinitionSeries], given[keyspace.DefinitionAudience] = r.Uvarint(), r.Uvarint()
		}
		if err := r.Done("a definition's record"); err != nil {
			c.fault(k, "%v", err)
		}
	})
	for kind, n := range highest {
		if n > given[kind] {
			c.fault(keyspace.AppendDefinition(nil, keyspace.DefinitionCounters, nil), "says that %d was the last number given of kind %q, and %d is in use", given[kind], kind, n)
		}
	}
	return err
}
