package geo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/event"
)

var asked = []netip.Addr{
	netip.MustParseAddr("193.166.3.2"), netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("9.9.9.9"), netip.MustParseAddr("255.255.255.255"),
	netip.MustParseAddr("2001:708::1"), netip.MustParseAddr("1.1.1.1"), netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("3fff::1"), netip.MustParseAddr("2a00::"),
}

// use does with a database what a gateway would: nothing, when it is no good.
func use(data []byte) (*file, error) {
	f, err := newFile("test", data)
	if err != nil {
		return nil, err
	}
	if err := f.verify(data, places); err != nil {
		return nil, err
	}
	for _, a := range asked {
		f.find(a)
		f.explain(a)
	}
	return f, nil
}

// tree is a tree of 32-bit records, and leaf a record that points into the data.
func tree(nodes ...[2]uint32) []byte {
	var out []byte
	for _, n := range nodes {
		out = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(out, n[0]), n[1])
	}
	return out
}

func leaf(nodes, offset int) uint32 { return uint32(nodes + 16 + offset) }

// hostile are databases that somebody made to hurt; each is refused.
func hostile(t testing.TB) map[string][]byte {
	value := func(vs ...any) []byte {
		var out bytes.Buffer
		for _, v := range vs {
			encode(t, &out, v)
		}
		return out.Bytes()
	}
	one := func(data []byte) []byte {
		return assemble(t, "City", 1, tree([2]uint32{leaf(1, 0), leaf(1, 0)}), data)
	}
	good := value(o{"country_code": "FI"})
	deep := func(n int) []byte { // lists in lists
		return append(bytes.Repeat([]byte{1, 4}, n), 0x40)
	}
	// Each list has the one before it ten times: 10^9 at the end.
	var laughs bytes.Buffer
	at := []int{}
	for level := range 9 {
		at = append(at, laughs.Len())
		if level == 0 {
			encode(t, &laughs, strings.Repeat("ha", 10))
			continue
		}
		list := make([]any, 10)
		for i := range list {
			list[i] = pointer(at[level-1])
		}
		encode(t, &laughs, list)
	}
	// 20,000 records that are each a pointer to one large map, all of them within
	// what a single record may unfold into.
	large := o{}
	for i := range 8000 {
		large["key"+strings.Repeat("x", i%7)+string(rune('a'+i%26))+time.Duration(i).String()] = strings.Repeat("v", 64)
	}
	var crowd bytes.Buffer
	encode(t, &crowd, large)
	const many = 20_000
	leaves := []uint32{0}
	for range many {
		leaves = append(leaves, uint32(crowd.Len()))
		encode(t, &crowd, pointer(0))
	}
	// A chain of nodes, each with a record on one side, would be too deep; a full
	// tree has them all.
	nodes := make([][2]uint32, len(leaves)-1)
	for i := range nodes {
		for side := range 2 {
			if child := 2*i + 1 + side; child < len(nodes) {
				nodes[i][side] = uint32(child)
			} else {
				nodes[i][side] = leaf(len(nodes), int(leaves[child-len(nodes)]))
			}
		}
	}
	// A ladder: each node leads to the next by both sides, 2^127 ways to an end
	// that says nothing.
	ladder := make([][2]uint32, 127)
	for i := range ladder {
		ladder[i] = [2]uint32{uint32(i + 1), uint32(i + 1)}
	}
	return map[string][]byte{
		"a pointer to itself":          one(value(pointer(0))),
		"a map that holds itself":      one(append([]byte{0xE1}, value("city", pointer(0))...)),
		"two that point at each other": one(value([]any{pointer(7)}, []any{pointer(0)})),
		"a pointer beyond the end":     one(value(o{"city": pointer(1 << 30)})),
		"4,000,000 levels":             one(deep(4_000_000)),
		"300 levels":                   one(deep(300)),
		"a map of 16 million":          one([]byte{0xFF, 0xFF, 0xFF, 0xFF}),
		"a list of 16 million":         one([]byte{0x1F, 4, 0xFF, 0xFF, 0xFF}),
		"a text of 16 million bytes":   one([]byte{0x5F, 0xFF, 0xFF, 0xFF, 'x'}),
		"a billion laughs":             assemble(t, "City", 1, tree([2]uint32{leaf(1, at[8]), leaf(1, at[7])}), laughs.Bytes()),
		"20,000 times a large map":     assemble(t, "City", len(nodes), tree(nodes...), crowd.Bytes()),
		"a tree that is a loop":        assemble(t, "City", 1, tree([2]uint32{0, 0}), good),
		"a loop of two nodes":          assemble(t, "City", 2, tree([2]uint32{1, leaf(2, 0)}, [2]uint32{0, leaf(2, 0)}), good),
		"a ladder":                     assemble(t, "City", len(ladder), tree(ladder...), good),
		"a record beyond the end":      assemble(t, "City", 1, tree([2]uint32{leaf(1, 1000), leaf(1, 1<<31)}), good),
		"a record in the separator":    assemble(t, "City", 1, tree([2]uint32{3, 9}), good),
		"a record inside another":      assemble(t, "City", 1, tree([2]uint32{leaf(1, 3), leaf(1, 0)}), good),
		"no nodes":                     assemble(t, "City", 0, nil, good),
		"more nodes than bytes":        assemble(t, "City", 1<<31, tree([2]uint32{0, 0}), good),
		"no records":                   assemble(t, "City", 1, tree([2]uint32{1, 1}), nil),
		"no type of value":             one([]byte{0x01, 0xF7}),
		"only the mark":                []byte("\xAB\xCD\xEFMaxMind.com"),
		"metadata that is a loop":      []byte("\xAB\xCD\xEFMaxMind.com\x20\x00"),
		"metadata of 16 million":       []byte("\xAB\xCD\xEFMaxMind.com\xFF\xFF\xFF\xFF"),
		"nothing":                      nil,
	}
}

func TestHostileDatabasesAreRefused(t *testing.T) {
	for name, data := range hostile(t) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		_, err := use(data)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: taken into use", name)
		}
		// With a wide margin: the library alone takes 37 s to find nothing wrong with
		// the 20,000 times a large map, which are less than a megabyte.
		if got := after.TotalAlloc - before.TotalAlloc; got > 256<<20 {
			t.Errorf("%s: %d MiB allocated for %d bytes", name, got>>20, len(data))
		}
		if took > 10*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
		t.Logf("%s: %v, %v", name, took.Round(time.Microsecond), err)
	}
}

// A byte of a database changed, or a part of it missing: refused, or used
// without harm. Each run takes other bytes; the fuzz test takes them all.
func TestDamagedDatabases(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 3))
	whole := cityDatabase(t)
	refused, changed := 0, 0
	for i := rnd.IntN(4); i < len(whole); i += 1 + rnd.IntN(7) {
		for _, flip := range []byte{0xFF, 1 << (i % 8)} {
			data := bytes.Clone(whole)
			data[i] ^= flip
			changed++
			if _, err := use(data); err != nil {
				refused++
			}
			// Unverified, as one that went bad in memory would be.
			if f, err := newFile("test", data); err == nil {
				for _, a := range asked {
					f.find(a)
					f.explain(a)
				}
			}
		}
		if _, err := use(bytes.Clone(whole[:i])); err == nil {
			t.Errorf("cut off after %d of %d bytes: taken into use", i, len(whole))
		}
	}
	t.Logf("%d of %d changed bytes noticed", refused, changed)
}

func FuzzDatabase(f *testing.F) {
	for _, data := range hostile(f) {
		if len(data) < 4096 {
			f.Add(data)
		}
	}
	f.Add(cityDatabase(f))
	f.Add(asnDatabase(f))
	embedded, err := Embedded()
	if err != nil {
		f.Fatal(err)
	}
	meta := bytes.LastIndex(embedded, []byte("\xAB\xCD\xEFMaxMind.com"))
	f.Add(append(bytes.Clone(embedded[:2048]), embedded[meta:]...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if file, err := use(data); err == nil && file == nil {
			t.Error("neither a database nor an error")
		}
		if f, err := newFile("test", data); err == nil {
			for _, a := range asked {
				f.find(a)
			}
		}
	})
}

// However a table of networks is written, it is read or refused by its line.
func FuzzNetworks(f *testing.F) {
	f.Add("16509 hosting Amazon\n13335 people Cloudflare # relay", "Example Cloud GmbH")
	f.Fuzz(func(t *testing.T, table, org string) {
		if c, err := readCentres(table); err == nil {
			c.has(known{geo: event.Geo{ASN: 16509, ASOrg: org}})
		}
		if word := hostingWord(org); word != "" && !strings.Contains(strings.ToLower(org), strings.TrimPrefix(word, "data ")) {
			t.Errorf("%q in %q", word, org)
		}
	})
}

// A panic of the reading library is an error of the database.
func TestPanicsAreErrors(t *testing.T) {
	broken := func() (err error) {
		defer unpanic(&err)
		var none []int
		_ = none[len(asked)]
		return nil
	}
	if err := broken(); err == nil || !strings.Contains(err.Error(), "reading it failed: runtime error: index out of range") {
		t.Errorf("error %v", err)
	}
}

// A file that is written to while it is read is read as it was, or refused.
func TestFilesThatAreBeingWritten(t *testing.T) {
	small, large := cityDatabase(t), bigCity(t)
	path := write(t, "city.mmdb", small)
	stop, stopped := make(chan struct{}), make(chan error)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				stopped <- nil
				return
			default:
			}
			data := small
			if i%2 == 0 {
				data = large
			}
			if err := os.WriteFile(path, data, 0o600); err != nil { // in place: cut off, then filled
				stopped <- err
				return
			}
		}
	}()
	opened := 0
	for range 20 {
		p, err := Open(Options{City: path})
		if err != nil {
			continue
		}
		opened++
		for _, a := range asked {
			p.At(a)
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of 20 opened", opened)
	if got := open(t, Options{City: write(t, "whole.mmdb", small)}).At(asked[0]).Geo.City; got != "Espoo" {
		t.Errorf("city %q", got)
	}
}

func TestConcurrentLookups(t *testing.T) {
	p := open(t, Options{City: write(t, "city.mmdb", bigCity(t)), ASN: write(t, "asn.mmdb", asnDatabase(t)), CacheSize: 64})
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 2000 {
				a := netip.AddrFrom4([4]byte{byte(20 + (i+g)%64), byte(i%64) * 4, 1, byte(i)})
				want := fmt.Sprintf("City %d.%d", a.As4()[0], a.As4()[1]/4)
				if got := p.At(a).Geo.City; got != want {
					t.Errorf("%s is in %s, want %s", a, got, want)
				}
			}
		})
	}
	all.Wait()
}
