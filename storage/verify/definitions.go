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
	x := definitionsCheck{checker: c, given: map[byte]uint64{}, highest: map[byte]uint64{}, called: map[string]bool{}}
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
			x.version(k, rest, r)
		case keyspace.DefinitionSeries, keyspace.DefinitionAudience:
			x.numbered(k, kind, rest, r)
		case keyspace.DefinitionJob:
			x.job(k, rest, r)
		case keyspace.DefinitionCounters:
			x.given[keyspace.DefinitionSeries], x.given[keyspace.DefinitionAudience] = r.Uvarint(), r.Uvarint()
		}
		if err := r.Done("a definition's record"); err != nil {
			c.fault(k, "%v", err)
		}
	})
	for kind, n := range x.highest {
		if n > x.given[kind] {
			c.fault(keyspace.AppendDefinition(nil, keyspace.DefinitionCounters, nil),
				"says that the last number given of kind %q is %d, and %d is in use", kind, x.given[kind], n)
		}
	}
	return err
}

// definitionsCheck is what the records before told.
type definitionsCheck struct {
	*checker
	of             []byte // the definition of the version before,
	number         uint32 // and its number
	given, highest map[byte]uint64
	called         map[string]bool
}

func (x *definitionsCheck) version(k, rest []byte, r *record.Reader) {
	of, number := rest[:16], binary.BigEndian.Uint32(rest[16:])
	if !bytes.Equal(of, x.of) {
		x.of, x.number = bytes.Clone(of), 0
	}
	if number != x.number+1 {
		x.fault(k, "is version %d of a definition, behind version %d: those between are missing", number, x.number)
	}
	x.number = number
	kind, name := r.String(), r.String()
	r.Bytes() // the actor
	source, said := r.String(), r.Uvarint()
	r.Varint()
	deleted := r.Byte()
	if deleted == 0 {
		r.Bytes()
	}
	h := x.o.Vault.HashKey("definition", kind, name)
	if r.Err() == nil && (said != uint64(number) || deleted > 1 || source != "file" && source != "api" || !bytes.Equal(h[:], of)) {
		x.fault(k, "says version %d from %q, deleted %d, of another definition: %t; that is not what its key says, or nothing that is written",
			said, source, deleted, !bytes.Equal(h[:], of))
	}
}

func (x *definitionsCheck) numbered(k []byte, kind byte, rest []byte, r *record.Reader) {
	id, text := r.Uvarint(), r.String()
	if kind == keyspace.DefinitionSeries {
		if state := r.Byte(); r.Err() == nil && (state < 1 || state > 3) {
			x.fault(k, "is a series in state %d: expected 1 to 3", state)
		}
		r.Uvarint()
	} else {
		r.Bytes()
	}
	if r.Err() == nil && id != uint64(binary.BigEndian.Uint32(rest)) {
		x.fault(k, "says that it is number %d", id)
	}
	if name := string(kind) + text; x.called[name] {
		x.fault(k, "is the second that is called so")
	} else {
		x.called[name] = true
	}
	x.highest[kind] = max(x.highest[kind], id)
}

func (x *definitionsCheck) job(k, rest []byte, r *record.Reader) {
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
	if h := x.o.Vault.HashKey("definition job", name); r.Err() == nil && !bytes.Equal(h[:], rest) {
		x.fault(k, "is a job that stands under another name's key")
	}
}
