package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// LedgerEntry says that somebody was erased, in words that lead to nobody: the
// keyed hashes of what was theirs. Origin and Seq name the log entry that
// decided it. Hashes and Origin are 16 bytes in lower-case hexadecimal digits.
type LedgerEntry struct {
	Seq         uint64    `json:"seq"`
	Origin      string    `json:"origin"`
	Time        time.Time `json:"time"`
	Identifiers []string  `json:"identifiers"`
	Facets      []string  `json:"facets"`
}

// ledgerLine is an entry as it stands in the file, one line of JSON. Sum is the
// first 8 bytes of the SHA-256 of the entry's own JSON: one flipped bit in a hash
// makes another good hash, and somebody else would be erased.
type ledgerLine struct {
	LedgerEntry
	Sum string `json:"sum"`
}

// maxLedger bounds a ledger, bytes: some five million erasures.
const maxLedger = 1 << 30

// LedgerError says which lines of an erasure ledger are not what was written.
type LedgerError struct {
	Path  string
	Lines []int // from 1
	Err   error // about the first of them
}

func (e *LedgerError) Error() string {
	return fmt.Sprintf("%v: %s: line %d (%d lines in all): %v: put back a sound copy, or who was erased may come back",
		ErrLedger, e.Path, e.Lines[0], len(e.Lines), e.Err)
}

// Unwrap gives ErrLedger and the first line's own error.
func (e *LedgerError) Unwrap() []error { return []error{ErrLedger, e.Err} }

// ReadLedger reads an erasure ledger; one that does not exist is empty. torn
// says that the last line was cut off by a crash: that erasure had not been
// answered yet, and the log still has it. Damage anywhere else gives a *LedgerError
// along with the lines that are sound.
func ReadLedger(path string) (entries []LedgerEntry, torn bool, err error) {
	return readLedger(vfs.Default, path)
}

func readLedger(d vfs.FS, path string) (entries []LedgerEntry, torn bool, err error) {
	text, err := readFile(d, path, maxLedger)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("erasure ledger: %w", err)
	}
	entries, torn, bad := parseLedger(text)
	if bad != nil {
		bad.Path = path
		return entries, torn, bad
	}
	return entries, torn, nil
}

func parseLedger(text []byte) (entries []LedgerEntry, torn bool, bad *LedgerError) {
	for n := 1; len(text) > 0; n++ {
		line, rest, whole := bytes.Cut(text, []byte("\n"))
		text = rest
		e, err := parseLine(line)
		switch {
		case err == nil:
			entries = append(entries, e)
		case !whole && !endsWrong(line):
			return entries, true, bad
		case bad == nil:
			bad = &LedgerError{Lines: []int{n}, Err: err}
		default:
			bad.Lines = append(bad.Lines, n)
		}
	}
	return entries, false, bad
}

// endsWrong says that an unfinished line is a whole one whose end was changed.
func endsWrong(line []byte) bool {
	if len(line) == 0 {
		return false
	}
	_, err := parseLine(line[:len(line)-1])
	return err == nil
}

func parseLine(line []byte) (LedgerEntry, error) {
	var l ledgerLine
	if err := strictJSON(line, &l); err != nil {
		return LedgerEntry{}, err
	}
	again, err := appendLine(nil, l.LedgerEntry)
	if err != nil {
		return LedgerEntry{}, err
	}
	if string(again) != string(line)+"\n" {
		return LedgerEntry{}, errors.New("its sum does not fit: it was changed after it was written")
	}
	return l.LedgerEntry, nil
}

// appendLine appends an entry's line. The same entry gives the same bytes.
func appendLine(dst []byte, e LedgerEntry) ([]byte, error) {
	if err := e.check(); err != nil {
		return dst, err
	}
	e.Time = e.Time.UTC().Truncate(time.Millisecond)
	text, err := json.Marshal(e)
	if err != nil {
		return dst, err
	}
	sum := sha256.Sum256(text)
	line, err := json.Marshal(ledgerLine{e, hex.EncodeToString(sum[:8])})
	return append(append(dst, line...), '\n'), err
}

func (e *LedgerEntry) check() error {
	if e.Seq == 0 {
		return errors.New("seq 0, wanted the number of a log entry")
	}
	if !isHex(e.Origin, 16) {
		return fmt.Errorf("origin %q, wanted 32 lower-case hexadecimal digits", e.Origin)
	}
	if len(e.Identifiers) == 0 {
		return errors.New("no identifier: whose erasure is it?")
	}
	for _, list := range [...][]string{e.Identifiers, e.Facets} {
		for _, h := range list {
			if !isHex(h, 16) {
				return fmt.Errorf("hash %q, wanted 32 lower-case hexadecimal digits", h)
			}
		}
	}
	return nil
}

func isHex(s string, n int) bool {
	return len(s) == 2*n && strings.Trim(s, "0123456789abcdef") == ""
}

// AppendLedger adds an entry to the ledger, synced, and makes the file (mode
// 0600) when it is missing. It first takes away a last line that a crash cut
// off. One call at a time.
func AppendLedger(path string, e LedgerEntry) error {
	line, err := appendLine(nil, e)
	if err != nil {
		return fmt.Errorf("%w: entry %d: %w", ErrLedger, e.Seq, err)
	}
	if err := appendFile(path, line); err != nil {
		return fmt.Errorf("erasure ledger: %w", err)
	}
	return nil
}

func appendFile(path string, text []byte) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	end, tail, err := lastLine(f)
	if err != nil {
		return err
	}
	if len(tail) > 0 {
		if _, err := parseLine(tail); err == nil { // whole but for its end
			text = append([]byte("\n"), text...)
			end += int64(len(tail))
		} else if err := f.Truncate(end); err != nil {
			return err
		}
	}
	if _, err := f.WriteAt(text, end); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path)) // the file may be new
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// lastLine gives what follows the file's last line end, and where it begins.
func lastLine(f *os.File) (at int64, tail []byte, err error) {
	at, err = f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, nil, err
	}
	for at > 0 {
		piece := make([]byte, min(at, 4096))
		at -= int64(len(piece))
		if _, err := f.ReadAt(piece, at); err != nil {
			return 0, nil, err
		}
		if i := bytes.LastIndexByte(piece, '\n'); i >= 0 {
			return at + int64(i) + 1, append(piece[i+1:len(piece):len(piece)], tail...), nil
		}
		tail = append(piece, tail...)
	}
	return 0, tail, nil
}

// union gives what either ledger has, once, in the order of a and then of b.
func union(a, b []LedgerEntry) (list []LedgerEntry, text []byte, err error) {
	seen := map[string]bool{}
	for _, from := range [...][]LedgerEntry{a, b} {
		for _, e := range from {
			line, err := appendLine(nil, e)
			if err != nil {
				return nil, nil, err
			}
			if !seen[string(line)] {
				seen[string(line)] = true
				list, text = append(list, e), append(text, line...)
			}
		}
	}
	return list, text, nil
}
