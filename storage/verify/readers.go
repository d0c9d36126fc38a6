package verify

import (
	"crypto/aes"
	"crypto/cipher"

	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// checkReaders opens what readers have made of the log, and makes sure that
// each of them knows up to where.
func (c *checker) checkReaders() error {
	block, err := aes.NewCipher(c.o.Vault.Subkey("readers"))
	if err != nil {
		return err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return err
	}
	lost := map[string]bool{}
	return c.walkSpace("opening readers' states", keyspace.Reader, func(k, v []byte) {
		name, _, err := keyspace.ParseReader(k)
		if err != nil {
			return // the survey has told it
		}
		if _, found := c.report.Cursor(name); !found && !lost[name] {
			lost[name] = true
			c.fault(keyspace.AppendCursor(nil, name), "is missing, though %q has a state: up to which entry is not known", name)
		}
		r := record.NewReader(v)
		r.Version("a reader's state", 1)
		if err := r.Err(); err != nil {
			c.fault(k, "%v", err)
			return
		}
		plain, err := aead.Open(nil, nil, r.Rest(), append([]byte("reuna reader "), k...))
		if err == nil {
			_, err = c.packer.Unpack(nil, plain)
		}
		if err != nil {
			c.fault(k, "does not open: %v", err)
		}
	})
}
