package backup

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/reuna/reuna/storage/receipt"
)

// Version is the version of a backup folder and of the manifests in it.
const Version = 1

// Names in a backup folder.
const (
	markerName   = "reuna-backup"
	objectsName  = "objects"
	snapshotsDir = "snapshots"
	erasuresName = "erasures"
	lockName     = "lock"
	suffix       = ".json"
)

// payloadType names what is signed, so that a signature of one thing is never
// taken for one of another.
const payloadType = "application/vnd.reuna.snapshot+json"

// Snapshot is what a backup holds of one moment. All but the last four fields
// stands in its signed manifest.
type Snapshot struct {
	Version int       `json:"version"` // of the manifest
	ID      string    `json:"id"`      // ids sort by age
	Parent  string    `json:"parent"`  // id of the snapshot before it; "" for the first
	Time    time.Time `json:"time"`    // UTC, of its beginning
	Format  uint64    `json:"format"`  // of the data folder: engine.FormatVersion then
	Install string    `json:"install"` // id of the install's public key
	Master  string    `json:"master"`  // fingerprint of the master key then, 16 hexadecimal digits
	Origin  string    `json:"origin"`  // the log's incarnation, 32 hexadecimal digits
	Head    uint64    `json:"head"`    // the first entry that the log had; LastSeq+1 when none
	LastSeq uint64    `json:"lastSeq"` // the last one
	// Erasures is how many entries the ledger in the backup had: fewer later
	// mean that somebody may come back.
	Erasures int    `json:"erasures"`
	Files    []File `json:"files"` // sorted by name

	NewFiles    int   `json:"-"` // copied by this Make
	NewBytes    int64 `json:"-"`
	ReusedFiles int   `json:"-"` // found in the backup
	ReusedBytes int64 `json:"-"`
}

// File is one file of the data folder.
type File struct {
	Name     string `json:"name"`
	Size     int64  `json:"size"`     // bytes
	SHA256   string `json:"sha256"`   // 64 hexadecimal digits
	Modified int64  `json:"modified"` // ns since 1970, tells whether it must be read again
}

// Bytes is the size of the data folder that Restore makes.
func (s *Snapshot) Bytes() (n int64) {
	for _, f := range s.Files {
		n += f.Size
	}
	return n
}

var (
	idPattern   = regexp.MustCompile(`^[0-9]{8}T[0-9]{6}\.[0-9]{3}Z-[0-9a-f]{8}$`)
	namePattern = regexp.MustCompile(`^[A-Za-z0-9_-][A-Za-z0-9._-]*$`)
)

const idTime = "20060102T150405.000Z"

// newID makes an id that sorts behind last, whatever the clock did.
func newID(now time.Time, last string) string {
	now = now.UTC()
	if last != "" {
		if t, err := time.Parse(idTime, last[:len(idTime)]); err == nil && !now.Truncate(time.Millisecond).After(t) {
			now = t.Add(time.Millisecond)
		}
	}
	return now.Format(idTime) + "-" + randomName()
}

// encodeSnapshot makes the manifest file's text.
func encodeSnapshot(s *Snapshot, key ed25519.PrivateKey) ([]byte, error) {
	payload, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return receipt.Sign(key, payloadType, payload)
}

// openManifest takes a manifest file's text apart. The signature is checked
// with the key that the text names: it proves that the text is whole, and its
// reader has to know whether it trusts the signer.
func openManifest(text []byte) (s *Snapshot, signer ed25519.PublicKey, err error) {
	signer, err = receipt.EmbeddedKey(text)
	if err != nil {
		return nil, nil, err
	}
	typ, payload, err := receipt.Verify(signer, text)
	if err != nil {
		return nil, nil, err
	}
	if typ != payloadType {
		return nil, nil, fmt.Errorf("type %q, wanted %q", typ, payloadType)
	}
	s, err = parseSnapshot(payload)
	if err == nil && s.Install != receipt.KeyID(signer) {
		err = fmt.Errorf("install %s, and signed by %s", s.Install, receipt.KeyID(signer))
	}
	return s, signer, err
}

// strictJSON reads one JSON value, which must have no field that v does not
// know, and nothing behind it.
func strictJSON(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if len(bytes.TrimSpace(text[d.InputOffset():])) > 0 {
		return errors.New("something follows the JSON value")
	}
	return nil
}

// parseSnapshot reads a manifest's signed text.
func parseSnapshot(text []byte) (*Snapshot, error) {
	var first struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &first); err != nil {
		return nil, err
	}
	if first.Version != Version {
		return nil, fmt.Errorf("version %d, this program reads %d: use the program that made it", first.Version, Version)
	}
	var s Snapshot
	if err := strictJSON(text, &s); err != nil {
		return nil, err
	}
	return &s, s.check()
}

func (s *Snapshot) check() error {
	switch {
	case !idPattern.MatchString(s.ID):
		return fmt.Errorf("id %q is not a time and 8 hexadecimal digits", s.ID)
	case s.Parent != "" && !idPattern.MatchString(s.Parent):
		return fmt.Errorf("parent %q is not a time and 8 hexadecimal digits", s.Parent)
	case !isHex(s.Install, 8), !isHex(s.Master, 8), !isHex(s.Origin, 16):
		return fmt.Errorf("install %q, master %q or origin %q is not of 16, 16 and 32 hexadecimal digits", s.Install, s.Master, s.Origin)
	case s.Format == 0, s.Head == 0, s.LastSeq == math.MaxUint64, s.Head > s.LastSeq+1:
		return fmt.Errorf("format %d, log entries %d to %d", s.Format, s.Head, s.LastSeq)
	case s.Erasures < 0:
		return fmt.Errorf("%d erasures", s.Erasures)
	case len(s.Files) == 0:
		return errors.New("no files")
	}
	total := int64(0)
	for i, f := range s.Files {
		switch {
		case !namePattern.MatchString(f.Name): // it becomes a path
			return fmt.Errorf("file name %q, wanted letters, digits, dots, lines and dashes", f.Name)
		case i > 0 && f.Name <= s.Files[i-1].Name:
			return fmt.Errorf("file %s follows %s", f.Name, s.Files[i-1].Name)
		case !isHex(f.SHA256, 32):
			return fmt.Errorf("file %s: hash %q is not of 64 hexadecimal digits", f.Name, f.SHA256)
		case f.Size < 0 || f.Size > math.MaxInt64-total:
			return fmt.Errorf("file %s: size %d", f.Name, f.Size)
		}
		total += f.Size
	}
	return nil
}

// marker is the file that makes a folder a backup.
type marker struct {
	Reuna     string `json:"reuna"` // "backup"
	Version   int    `json:"version"`
	Install   string `json:"install"`   // id of the public key
	PublicKey string `json:"publicKey"` // base64
}

func encodeMarker(pub ed25519.PublicKey) []byte {
	text, err := json.Marshal(marker{"backup", Version, receipt.KeyID(pub), base64.StdEncoding.EncodeToString(pub)})
	if err != nil {
		panic(fmt.Sprintf("backup: marker: %v", err)) // texts and a number always encode
	}
	return append(text, '\n')
}

func parseMarker(text []byte) (ed25519.PublicKey, error) {
	var m marker
	if err := strictJSON(text, &m); err != nil {
		return nil, err
	}
	if m.Reuna == "backup" && m.Version > Version {
		return nil, fmt.Errorf("version %d, this program reads up to %d: use a newer program", m.Version, Version)
	}
	pub, err := base64.StdEncoding.DecodeString(m.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	// The install is the key's own sum, so one flipped bit in either is seen.
	if len(pub) != ed25519.PublicKeySize || string(encodeMarker(pub)) != string(text) {
		return nil, errors.New("it is not what was written: its parts do not fit each other")
	}
	return pub, nil
}

// folder is a backup folder.
type folder struct {
	fs  vfs.FS
	dir string
}

func (b *folder) path(elem ...string) string {
	return b.fs.PathJoin(append([]string{b.dir}, elem...)...)
}

func (b *folder) object(sum string) string { return b.path(objectsName, sum[:2], sum) }

func (b *folder) manifest(id string) string { return b.path(snapshotsDir, id+suffix) }

// publicKey reads the marker: whose backups these are.
func (b *folder) publicKey() (ed25519.PublicKey, error) {
	text, err := readFile(b.fs, b.path(markerName), 4096)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %s has no file %s: name a folder that a backup was made into", ErrNotBackup, b.dir, markerName)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", b.dir, err)
	}
	pub, err := parseMarker(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrBroken, b.path(markerName), err)
	}
	return pub, nil
}

// ids lists the snapshots, oldest first, sound or not.
func (b *folder) ids() ([]string, error) {
	names, err := b.fs.List(b.path(snapshotsDir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, name := range names {
		if id, ok := strings.CutSuffix(name, suffix); ok && idPattern.MatchString(id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids, nil
}

// read reads a snapshot's manifest and says who signed it.
func (b *folder) read(id string) (s *Snapshot, signer ed25519.PublicKey, err error) {
	text, err := readFile(b.fs, b.manifest(id), receipt.MaxEnvelope)
	if err != nil {
		return nil, nil, err
	}
	s, signer, err = openManifest(text)
	if err == nil && s.ID != id {
		err = fmt.Errorf("it is snapshot %s", s.ID)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", ErrBroken, b.manifest(id), err)
	}
	return s, signer, nil
}

// readOwn is read for a manifest that must be pub's.
func (b *folder) readOwn(id string, pub ed25519.PublicKey) (*Snapshot, error) {
	s, signer, err := b.read(id)
	if err == nil {
		err = b.signedBy(s, signer, pub)
	}
	return s, err
}

func (b *folder) signedBy(s *Snapshot, signer, pub ed25519.PublicKey) error {
	if pub.Equal(signer) {
		return nil
	}
	return fmt.Errorf("%w: %s was signed by install %s, wanted %s", ErrForeign, b.manifest(s.ID), receipt.KeyID(signer), receipt.KeyID(pub))
}

// list reads every snapshot that is sound, newest first; broken says which are not.
func (b *folder) list(pub ed25519.PublicKey) (list []*Snapshot, broken, err error) {
	ids, err := b.ids()
	if err != nil {
		return nil, nil, err
	}
	for _, id := range slices.Backward(ids) {
		s, err := b.readOwn(id, pub)
		if err != nil {
			broken = errors.Join(broken, err)
			continue
		}
		list = append(list, s)
	}
	return list, broken, nil
}
