package backup

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

var key = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))

func sample() *Snapshot {
	return &Snapshot{
		Version: 1, ID: "20260304T050607.000Z-0a1b2c3d", Parent: "20260303T050607.000Z-0a1b2c3d", Time: day, Format: 2,
		Install: "fd50fb2cb23a5e86", Master: strings.Repeat("ab", 8), Origin: strings.Repeat("cd", 16), Head: 5, LastSeq: 9, Erasures: 2,
		Files: []File{
			{Name: "000004.sst", Size: 10, SHA256: strings.Repeat("01", 32), Modified: 1772600767000000001},
			{Name: "MANIFEST-000001", Size: 0, SHA256: strings.Repeat("02", 32), Modified: 2},
		},
	}
}

// The manifest's text, byte for byte.
func TestManifestText(t *testing.T) {
	text, err := json.Marshal(sample())
	const want = `{"version":1,"id":"20260304T050607.000Z-0a1b2c3d","parent":"20260303T050607.000Z-0a1b2c3d","time":"2026-03-04T05:06:07Z",` +
		`"format":2,"install":"fd50fb2cb23a5e86","master":"abababababababab","origin":"cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd","head":5,"lastSeq":9,"erasures":2,` +
		`"files":[{"name":"000004.sst","size":10,"sha256":"0101010101010101010101010101010101010101010101010101010101010101","modified":1772600767000000001},` +
		`{"name":"MANIFEST-000001","size":0,"sha256":"0202020202020202020202020202020202020202020202020202020202020202","modified":2}]}`
	if err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
	got, err := parseSnapshot(text)
	if err != nil || !reflect.DeepEqual(got, sample()) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestManifestRefuses(t *testing.T) {
	for name, change := range map[string]func(*Snapshot){
		"newer":            func(s *Snapshot) { s.Version = 2 },
		"no id":            func(s *Snapshot) { s.ID = "" },
		"a path for an id": func(s *Snapshot) { s.ID = "../../etc" },
		"a bad parent":     func(s *Snapshot) { s.Parent = "x" },
		"no install":       func(s *Snapshot) { s.Install = "" },
		"no master":        func(s *Snapshot) { s.Master = "ABABABABABABABAB" },
		"a short origin":   func(s *Snapshot) { s.Origin = "cd" },
		"format 0":         func(s *Snapshot) { s.Format = 0 },
		"head 0":           func(s *Snapshot) { s.Head = 0 },
		"head beyond":      func(s *Snapshot) { s.Head = 11 },
		"last at the end":  func(s *Snapshot) { s.LastSeq = math.MaxUint64 },
		"erasures below 0": func(s *Snapshot) { s.Erasures = -1 },
		"no files":         func(s *Snapshot) { s.Files = nil },
		"a path":           func(s *Snapshot) { s.Files[0].Name = "../a" },
		"a dot file":       func(s *Snapshot) { s.Files[0].Name = ".." },
		"an empty name":    func(s *Snapshot) { s.Files[0].Name = "" },
		"twice":            func(s *Snapshot) { s.Files[1].Name = s.Files[0].Name },
		"a bad hash":       func(s *Snapshot) { s.Files[0].SHA256 = "../" + strings.Repeat("0", 61) },
		"a size below 0":   func(s *Snapshot) { s.Files[0].Size = -1 },
		"sizes overflow":   func(s *Snapshot) { s.Files[0].Size, s.Files[1].Size = math.MaxInt64, 1 },
	} {
		s := sample()
		change(s)
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseSnapshot(text); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	good, _ := json.Marshal(sample())
	for _, text := range []string{"", "[]", "null", string(good) + "{}", strings.Replace(string(good), `"head"`, `"heads"`, 1)} {
		if _, err := parseSnapshot([]byte(text)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

// A flipped bit in a manifest or a marker is seen, or changes nothing.
func TestFlips(t *testing.T) {
	s := sample()
	s.Install = "" // of this test's key
	pub := key.Public().(ed25519.PublicKey)
	mark := encodeMarker(pub)
	_, rest, _ := strings.Cut(string(mark), `"install":"`)
	s.Install = rest[:16]
	text, err := encodeSnapshot(s, key)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for bit := range len(text) * 8 {
		flipped := bytes.Clone(text)
		flipped[bit/8] ^= 1 << (bit % 8)
		got, signer, err := openManifest(flipped)
		if err != nil {
			seen++
		} else if !reflect.DeepEqual(got, s) || !pub.Equal(signer) {
			t.Errorf("byte %d of the manifest: %+v", bit/8, got)
		}
	}
	if seen < len(text)*7 { // the rest is space between parts
		t.Errorf("%d of %d flips were seen", seen, len(text)*8)
	}
	for bit := range len(mark) * 8 {
		flipped := bytes.Clone(mark)
		flipped[bit/8] ^= 1 << (bit % 8)
		if got, err := parseMarker(flipped); err == nil {
			t.Errorf("byte %d of the marker: %x", bit/8, got)
		}
	}
	if got, err := parseMarker(mark); err != nil || !pub.Equal(got) {
		t.Errorf("marker: %x, %v", got, err)
	}
}

// What the parser takes is sound and is written as it was read.
func FuzzManifest(f *testing.F) {
	good, _ := json.Marshal(sample())
	f.Add(good)
	f.Add([]byte(`{"version":1}`))
	f.Add([]byte(fmt.Sprintf(`{"version":1,"files":[%s]}`, strings.Repeat(`{},`, 3)+"{}")))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseSnapshot(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		twice, err := parseSnapshot(again)
		if err != nil || !reflect.DeepEqual(s, twice) || s.Bytes() < 0 {
			t.Errorf("%s became %s, %v", text, again, err)
		}
		for _, file := range s.Files {
			if strings.ContainsAny(file.Name, `/\`) || strings.HasPrefix(file.Name, ".") {
				t.Errorf("file name %q", file.Name)
			}
		}
	})
}
