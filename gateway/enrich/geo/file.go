package geo

import (
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"

	"github.com/reuna/reuna/gateway/enrich/memo"
	"github.com/reuna/reuna/identity/event"
)

// maxFile bounds a database in bytes; the largest commercial city file is well
// below it.
const maxFile = 1 << 30

// recordCache is how many decoded records a database keeps: a country database
// has about 250 in all, a city file's busiest few thousand cover nearly every
// visitor.
const recordCache = 4096

// file is one database with the records it has decoded so far: many addresses
// share a record, and decoding costs more than finding it.
type file struct {
	name    string // for people
	reader  *maxminddb.Reader
	decoded *memo.Table[decoded]
}

type decoded struct {
	offset uintptr
	row    known
}

// known is what a database says of a network.
type known struct {
	geo     event.Geo
	hosting bool // it says itself that the network is a data centre
}

// subject is what a database must tell to be of use in a setting.
type subject struct {
	setting, what string
	tells         func(*event.Geo) bool
}

var (
	places   = subject{"geo.city", "countries", func(g *event.Geo) bool { return g.Country != "" }}
	nations  = subject{"geo.country", "countries", func(g *event.Geo) bool { return g.Country != "" }}
	networks = subject{"geo.asn", "autonomous systems (networks)", func(g *event.Geo) bool { return g.ASN != 0 }}
)

// openFile reads and verifies one database.
//
// It is read into memory rather than mapped: a mapped file that somebody
// overwrites in place ends the process with SIGBUS.
func openFile(path string, about subject) (*file, error) {
	data, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("geo: %s: cannot read the database: %w; give the path of a readable .mmdb file, or leave the setting out", about.setting, err)
	}
	f, err := newFile(filepath.Base(path), data)
	if err == nil {
		err = f.verify(data, about)
	}
	if err != nil {
		return nil, fmt.Errorf("geo: %s: %s is no usable MaxMind DB file (%d bytes): %w; download it again, and check which file goes where", about.setting, path, len(data), err)
	}
	return f, nil
}

// read is a whole file, as it was at one time.
func read(path string) ([]byte, error) {
	// A pipe would be waited for at its opening, and a device has no end.
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is %s, expected a regular file", path, info.Mode().Type())
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read from
	before, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if before.Size() > maxFile {
		return nil, fmt.Errorf("%s has %d bytes, and at most %d are read", path, before.Size(), maxFile)
	}
	data := make([]byte, before.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("%s became shorter while it was read: %w", path, err)
	}
	after, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if stampOf(after) != stampOf(before) {
		return nil, fmt.Errorf("%s was written to while it was read; put a finished file in its place by renaming it", path)
	}
	return data, nil
}

// newFile opens a database; data is its own from now on.
func newFile(name string, data []byte) (f *file, err error) {
	defer unpanic(&err)
	r, err := maxminddb.OpenBytes(data)
	if err != nil {
		return nil, err
	}
	return &file{name: name, reader: r, decoded: memo.NewTable[decoded](recordCache)}, nil
}

// verify reads the whole file, so that a damaged one is refused here and not
// met by an address, and looks whether its records tell what they are for.
func (f *file) verify(data []byte, about subject) (err error) {
	defer unpanic(&err)
	meta := &f.reader.Metadata
	sample, err := expansion(data, meta.NodeCount, meta.RecordSize)
	if err != nil {
		return err
	}
	// MaxMind's verifier wants a description, which the format does not and
	// others than MaxMind leave out.
	if len(meta.Description) == 0 {
		meta.Description = map[string]string{"en": meta.DatabaseType}
	}
	if err := f.reader.Verify(); err != nil {
		return err
	}
	for _, offset := range sample {
		var row record
		if err := f.reader.LookupOffset(offset).Decode(&row); err != nil {
			continue // single records of another layout are met by their addresses as unknown
		}
		if g := row.known().geo; about.tells(&g) {
			return nil
		}
	}
	return fmt.Errorf("its records are not laid out as ours to read: none of the first %d of this database of type %q names %s", len(sample), meta.DatabaseType, about.what)
}

// unpanic turns a panic of the reading library into an error: one database
// must never end a gateway.
func unpanic(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("reading it failed: %v", p)
	}
}

// find is the record of an address; zero where the database has none or its
// entry cannot be read. addr comes from Carried.
func (f *file) find(addr netip.Addr) known {
	r, ok := f.lookup(addr)
	if !ok {
		return known{}
	}
	offset := r.Offset()
	h := uint64(offset) * 0x9E3779B97F4A7C15 // Fibonacci hashing spreads the offsets
	h ^= h >> 29
	a, b := f.decoded.Candidates(h)
	if a != nil && a.offset == offset {
		return a.row
	}
	if b != nil && b.offset == offset {
		return b.row
	}
	row, err := decode(r)
	if err != nil {
		row = known{} // explain tells why
	}
	f.decoded.Put(h, &decoded{offset: offset, row: row})
	return row
}

// lookup says where an address's record is. It cannot fail in a verified file,
// and takes at most 128 steps in any.
func (f *file) lookup(addr netip.Addr) (maxminddb.Result, bool) {
	if addr.Is6() && f.reader.Metadata.IPVersion == 4 {
		return maxminddb.Result{}, false
	}
	r := f.reader.Lookup(addr)
	return r, r.Found()
}

func decode(r maxminddb.Result) (k known, err error) {
	defer unpanic(&err)
	var row record
	if err := r.Decode(&row); err != nil {
		return known{}, fmt.Errorf("its record cannot be read: %w", err)
	}
	return row.known(), nil
}

// explain is what find says of an address and where that stands.
func (f *file) explain(addr netip.Addr) (known, string) {
	meta := &f.reader.Metadata
	rule := fmt.Sprintf("%s (%s, built %s)", f.name, meta.DatabaseType, time.Unix(int64(min(meta.BuildEpoch, 1<<36)), 0).UTC().Format(time.DateOnly))
	r, ok := f.lookup(addr)
	if !ok {
		return known{}, rule + ": no record of the address"
	}
	row, err := decode(r)
	rule += ": " + r.Prefix().String()
	if err != nil {
		rule += ": " + err.Error()
	}
	return row, rule
}
