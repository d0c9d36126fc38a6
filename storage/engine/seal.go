package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"log/slog"
	"strconv"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// sealName is the seal's file in the data folder; Pebble leaves it alone.
const sealName = "SEAL"

// A seal's file is 72 bytes: "reunaSL" and a version byte, two states of 28
// bytes, and the CRC-64 (ECMA) of these 64 bytes. A state is the MANIFEST's
// number 4, its length 8, the CRC-64 of so many of its bytes 8, and zero 8;
// all zero where there is none. Numbers are big-endian.
const (
	sealBytes  = 72
	sealMagic  = "reunaSL\x01"
	stateBytes = 28
)

// manifestState is what is known to be durable of a MANIFEST.
type manifestState struct {
	num  uint32
	size uint64
	sum  uint64
}

// seal remembers what Pebble's list of tables, the MANIFEST, was when it was
// last synced. Pebble takes a damaged record of it for the end that a crash
// left, forgets the tables that follow, and deletes them.
//
// Invariants:
//   - The file is written and synced after a sync of the MANIFEST, so it is never
//     ahead: the bytes that it names were durable.
//   - It holds the MANIFEST that the marker names, and beside it the next one from
//     before the marker may move until the old marker is removed. A marker that
//     names another MANIFEST is damaged.
//
// The slower design: to read the records here and guess whether a bad one was
// torn or damaged. A power cut may leave either.
type seal struct {
	mu        sync.Mutex
	file      vfs.File // nil until there is something to write
	cur, next manifestState
}

// manifestNumber is the number in a MANIFEST's file name.
func manifestNumber(base string) (uint32, bool) {
	digits, ok := strings.CutPrefix(base, "MANIFEST-")
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), ok && err == nil && n > 0
}

// manifestMarker finds the file that Pebble will open: the marker with the
// highest count decides.
func manifestMarker(names []string) (base string, found bool) {
	var top uint64
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, "marker.manifest.")
		count, value, dot := strings.Cut(rest, ".")
		n, err := strconv.ParseUint(count, 10, 64)
		if ok && dot && err == nil && (!found || n > top) {
			base, found, top = value, true, n
		}
	}
	return base, found
}

func encodeSeal(cur, next manifestState) []byte {
	buf := append(make([]byte, 0, sealBytes), sealMagic...)
	for _, s := range []manifestState{cur, next} {
		buf = binary.BigEndian.AppendUint32(buf, s.num)
		buf = binary.BigEndian.AppendUint64(buf, s.size)
		buf = binary.BigEndian.AppendUint64(buf, s.sum)
		buf = append(buf, make([]byte, stateBytes-20)...)
	}
	return binary.BigEndian.AppendUint64(buf, crc64.Checksum(buf, markTable))
}

// decodeSeal gives the states of a seal's file; none for one that was never
// written to, or whose bytes did not reach the disk.
func decodeSeal(data []byte) (states []manifestState, err error) {
	if len(data) <= sealBytes && allZero(data) {
		return nil, nil
	}
	if len(data) != sealBytes || string(data[:8]) != sealMagic {
		return nil, fmt.Errorf("%w: seal of %d bytes that begins with %q, want %d bytes and %q", ErrDamaged, len(data), data[:min(len(data), 8)], sealBytes, sealMagic)
	}
	body := data[:sealBytes-8]
	if want, sum := binary.BigEndian.Uint64(data[sealBytes-8:]), crc64.Checksum(body, markTable); sum != want {
		return nil, fmt.Errorf("%w: seal has checksum %016x, its bytes give %016x", ErrDamaged, want, sum)
	}
	for b := body[8:]; len(b) > 0; b = b[stateBytes:] {
		if s := (manifestState{binary.BigEndian.Uint32(b), binary.BigEndian.Uint64(b[4:]), binary.BigEndian.Uint64(b[12:])}); s.num != 0 {
			states = append(states, s)
		}
	}
	return states, nil
}

func allZero(data []byte) bool {
	for _, b := range data {
		if b != 0 {
			return false
		}
	}
	return true
}

// checkManifest refuses a folder whose MANIFEST is not what it was when it was
// last synced, or that has lost the marker that names it. Pebble would start a
// new store over the old one, or an older state of it, and delete the rest.
//
// It leaves in the seal what is known of the MANIFEST, so that the next one is
// noted beside it.
func (d *disk) checkManifest(log *slog.Logger) error {
	dir := d.dir
	names, err := d.List(dir)
	if err != nil {
		return err
	}
	base, found := manifestMarker(names)
	if !found {
		for _, name := range names {
			if strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".log") {
				return fmt.Errorf("%w: data folder %s has %s but no marker.manifest file: restore it from a backup", ErrDamaged, dir, name)
			}
		}
		return nil
	}
	num, _ := manifestNumber(base)
	d.seal.cur = manifestState{num: num}
	data, err := readFile(d, d.PathJoin(dir, sealName), sealBytes+1)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a copy, or a folder from before there was a seal
	}
	if err != nil {
		return err
	}
	states, err := decodeSeal(data)
	if err != nil {
		log.Warn("storage: the seal of the table list is damaged: damage to the list itself would not be seen this time", "dir", dir, "err", err)
		return nil
	}
	if len(states) == 0 {
		return nil
	}
	for _, s := range states {
		if s.num != num {
			continue
		}
		d.seal.cur = s
		data, err := readFile(d, d.PathJoin(dir, base), int64(s.size))
		if err != nil {
			return fmt.Errorf("%w: data folder %s: table list: %w: restore it from a backup", ErrDamaged, dir, err)
		}
		if sum := crc64.Checksum(data, markTable); uint64(len(data)) != s.size || sum != s.sum {
			return fmt.Errorf("%w: data folder %s: the first %d bytes of %s have checksum %016x, there were %d with %016x: restore it from a backup",
				ErrDamaged, dir, len(data), base, sum, s.size, s.sum)
		}
		return nil
	}
	return fmt.Errorf("%w: data folder %s: the marker names %s, last synced was MANIFEST-%06d: restore it from a backup", ErrDamaged, dir, base, states[0].num)
}

// readFile reads at most the first limit bytes.
func readFile(d vfs.FS, name string, limit int64) (data []byte, err error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, limit))
}

// manifestFile is a MANIFEST that is being written, with the checksum so far.
type manifestFile struct {
	*diskFile
	state manifestState
}

// Write is that of [vfs.File]. After an error the MANIFEST is never synced.
func (f *manifestFile) Write(p []byte) (n int, err error) {
	sum := crc64.Update(f.state.sum, markTable, p) // before Write, which may change p
	if n, err = f.diskFile.Write(p); err != nil {
		return n, err
	}
	f.state.size, f.state.sum = f.state.size+uint64(n), sum
	return n, nil
}

// Sync is that of [vfs.File].
func (f *manifestFile) Sync() error {
	if err := f.diskFile.Sync(); err != nil {
		return err
	}
	d := f.d
	d.seal.mu.Lock()
	defer d.seal.mu.Unlock()
	if f.state.num == d.seal.cur.num || d.seal.cur.num == 0 {
		d.seal.cur = f.state
	} else {
		d.seal.next = f.state
	}
	return d.writeSeal()
}

// markerMoved notes that the marker that names the next MANIFEST is durable.
func (d *disk) markerMoved() error {
	d.seal.mu.Lock()
	defer d.seal.mu.Unlock()
	if d.seal.next.num == 0 {
		return nil
	}
	d.seal.cur, d.seal.next = d.seal.next, manifestState{}
	return d.writeSeal()
}

func (d *disk) writeSeal() error {
	if d.fenced.Load() {
		return nil
	}
	if d.seal.file == nil {
		f, err := d.OpenReadWrite(d.PathJoin(d.dir, sealName), "reuna-seal")
		if err != nil {
			return err
		}
		d.seal.file = f
	}
	if _, err := d.seal.file.WriteAt(encodeSeal(d.seal.cur, d.seal.next), 0); err != nil {
		if d.lost("write", sealName, err) {
			return nil
		}
		return err
	}
	return d.seal.file.Sync()
}

func (d *disk) closeSeal() error {
	d.seal.mu.Lock()
	defer d.seal.mu.Unlock()
	if d.seal.file == nil {
		return nil
	}
	f := d.seal.file
	d.seal.file = nil
	return f.Close()
}
