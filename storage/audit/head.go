package audit

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/record"
)

// Head is the install's signature over the chain up to entry N. It tells
// nothing of what the entries say, so it may be kept anywhere: whoever keeps
// one can prove later that the log still holds what it held then. The head of
// an empty log has N 0; it makes a head file that is missing telling from the
// first entry on.
type Head struct {
	N         uint64    `json:"n"`
	Hash      Hash      `json:"hash"`      // of entry N
	Time      time.Time `json:"time"`      // of signing, UTC, to the millisecond
	Key       string    `json:"key"`       // first 16 hexadecimal digits of SHA-256 of the public key
	Signature []byte    `json:"signature"` // Ed25519, 64 bytes; base64 in JSON
}

const (
	headVersion = 1
	headDomain  = "reuna audit head 1" // also the head file's kind
	maxHeadFile = 4 << 10
)

// KeyID is a public key's name: the first 16 hexadecimal digits of its SHA-256.
func KeyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:8])
}

// Verify is nil when public's owner signed this head.
func (h Head) Verify(public ed25519.PublicKey) error {
	if id := KeyID(public); h.Key != id {
		return fmt.Errorf("audit: the head at entry %d is signed by key %q, expected %s: it belongs to another install", h.N, h.Key, id)
	}
	if !ed25519.Verify(public, h.message(), h.Signature) {
		return fmt.Errorf("audit: the signature of the head at entry %d is not key %s's: the head was changed or forged", h.N, h.Key)
	}
	return nil
}

// message is what is signed: domain · n 8 · hash 32 · ms 8, numbers big-endian.
func (h Head) message() []byte {
	m := binary.BigEndian.AppendUint64([]byte(headDomain), h.N)
	m = append(m, h.Hash[:]...)
	return binary.BigEndian.AppendUint64(m, uint64(h.Time.UnixMilli()))
}

// appendValue appends the stored form: version · varint ms · hash 32 · signature 64.
func (h Head) appendValue(dst []byte) []byte {
	dst = record.AppendVarint(append(dst, headVersion), h.Time.UnixMilli())
	return append(append(dst, h.Hash[:]...), h.Signature...)
}

// parseHead reads the head stored at entry n and checks who signed it.
func parseHead(n uint64, val []byte, public ed25519.PublicKey) (Head, error) {
	r := record.NewReader(val)
	r.Version("audit head", headVersion)
	h := Head{N: n, Time: time.UnixMilli(r.Varint()).UTC(), Key: KeyID(public)}
	copy(h.Hash[:], r.Fixed(len(h.Hash)))
	h.Signature = bytes.Clone(r.Fixed(ed25519.SignatureSize))
	if err := r.Done(fmt.Sprintf("audit head at entry %d", n)); err != nil {
		return Head{}, err
	}
	return h, h.Verify(public)
}

func (l *Log) signHead(end tip, ms int64) Head {
	h := Head{N: end.n, Hash: end.hash, Time: time.UnixMilli(ms).UTC(), Key: KeyID(l.public)}
	h.Signature = ed25519.Sign(l.sign, h.message())
	return h
}

// Head is the newest head that is signed, stored and in the head file. The error says why a newer one could not be written.
func (l *Log) Head() (Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.filed, l.filing
}

// Sign signs, stores and files a head over everything that is durable now,
// unless there is one, and gives it.
func (l *Log) Sign() (Head, error) {
	l.signing.Lock()
	defer l.signing.Unlock()
	l.mu.Lock()
	end, filed, failing := l.tip, l.filed, l.filing
	l.mu.Unlock()
	if l.db.ReadOnly() || end.n == filed.N && filed.Key != "" && failing == nil {
		return filed, failing
	}
	h, err := l.fileHead(end)
	l.mu.Lock()
	l.filing = err
	if err == nil {
		l.filed = h
	}
	filed = l.filed
	l.mu.Unlock()
	switch {
	case err != nil && failing == nil:
		l.opt.Logger.Error("audit: the head could not be written; it is tried again", "entry", end.n, "err", err)
	case err == nil && failing != nil:
		l.opt.Logger.Info("audit: the head is written again", "entry", end.n)
	}
	return filed, err
}

// fileHead writes to the store first: the file must never be ahead of it.
func (l *Log) fileHead(end tip) (h Head, err error) {
	if end.n == 0 {
		h = l.signHead(end, l.opt.Now().UnixMilli())
	} else if h, err = l.storeHead(end); err != nil {
		return Head{}, err
	}
	if l.opt.HeadFile == "" {
		return h, nil
	}
	if err := WriteHeadFile(l.opt.HeadFile, h); err != nil {
		return Head{}, fmt.Errorf("%w %s: %w", ErrHeadFile, l.opt.HeadFile, err)
	}
	return h, nil
}

// storeHead gives the head that is stored at the tip, or stores one.
func (l *Log) storeHead(end tip) (h Head, err error) {
	place := keyspace.AppendAuditHead(nil, end.n)
	var forged error
	found, err := l.db.Get(place, func(val []byte) error {
		h, forged = parseHead(end.n, val, l.public)
		return nil
	})
	if err != nil {
		return Head{}, err
	}
	if forged != nil {
		l.opt.Logger.Error("audit: a head was forged or changed in the store, a good one takes its place", "entry", end.n, "err", forged)
	}
	if !found || forged != nil {
		h = l.signHead(end, l.opt.Now().UnixMilli())
		b := l.db.NewBatch()
		b.Set(place, h.appendValue(nil))
		if err := b.Commit(true); err != nil {
			return Head{}, fmt.Errorf("audit: head at entry %d: %w", end.n, err)
		}
	}
	return h, nil
}

// topHead is the highest stored head that is really the install's. Forged ones
// are Verify's to name.
func (l *Log) topHead() (top Head, err error) {
	lower, upper := keyspace.Bounds(keyspace.AppendSpace(nil, keyspace.AuditHead))
	err = l.db.IterReverse(lower, upper, func(k, v []byte) (bool, error) {
		if n, err := keyspace.ParseAuditHead(k); err == nil {
			if h, err := parseHead(n, v, l.public); err == nil {
				top = h
			}
		}
		return top.N == 0, nil
	})
	return top, err
}

// loadHeadFile reads the head file. Another install's is moved aside while this
// log is still empty: the data folder was then begun anew beside old keys.
func (l *Log) loadHeadFile() (h Head, found bool, err error) {
	if l.opt.HeadFile == "" {
		return Head{}, false, nil
	}
	h, err = ReadHeadFile(l.opt.HeadFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Head{}, false, nil
	}
	if err == nil && h.Key != KeyID(l.public) && l.tip.n == 0 {
		aside := l.opt.HeadFile + "." + h.Key
		if err := os.Rename(l.opt.HeadFile, aside); err != nil {
			return Head{}, false, fmt.Errorf("%w: %w", ErrHeadFile, err)
		}
		l.opt.Logger.Warn("audit: the head file is of another install, whose log is not in this data folder; it was moved aside", "to", aside, "last", h.N)
		return Head{}, false, nil
	}
	if err == nil {
		err = h.Verify(l.public)
	}
	if err != nil {
		return Head{}, false, fmt.Errorf("%w %s: %w: put the right file back, or move this one away: the log then records that it was missing", ErrHeadFile, l.opt.HeadFile, err)
	}
	return h, true, nil
}

// headFile is the head file's JSON.
type headFile struct {
	Kind string `json:"kind"` // "reuna audit head 1"
	Head
}

// ReadHeadFile reads a head from the file that a Log keeps, or a copy of it.
// Its signature is not checked: see Head.Verify.
func ReadHeadFile(path string) (Head, error) {
	f, err := os.Open(path)
	if err != nil {
		return Head{}, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxHeadFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return Head{}, err
	}
	return parseHeadFile(text)
}

func parseHeadFile(text []byte) (Head, error) {
	if len(text) > maxHeadFile {
		return Head{}, fmt.Errorf("holds more than the %d bytes that a head may have", maxHeadFile)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var f headFile
	if err := d.Decode(&f); err != nil {
		return Head{}, fmt.Errorf("is no head: %w", err)
	}
	if d.More() {
		return Head{}, errors.New("holds more than one head")
	}
	id, err := hex.DecodeString(f.Key)
	switch {
	case f.Kind != headDomain:
		return Head{}, fmt.Errorf("has kind %q, expected %q", f.Kind, headDomain)
	case err != nil || len(id) != 8:
		return Head{}, fmt.Errorf("names key %q, expected 16 hexadecimal digits", f.Key)
	}
	return f.Head, nil
}

// WriteHeadFile writes what ReadHeadFile reads, with mode 0600. It puts the whole
// file in place at once: after a crash there is either the old head or the new one.
func WriteHeadFile(path string, h Head) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	text, err := json.MarshalIndent(headFile{headDomain, h}, "", "  ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".head-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
