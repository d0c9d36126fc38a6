package audit

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// goldenEntry and its record: version 1 stays readable, these bytes stay its.
var goldenEntry = Entry{Actor: "ops", Role: "admin", Action: "person.read", Object: "p_x", Outcome: "ok", Remote: "::1", Detail: []byte(`{"view":"all"}`)}

const goldenRecord = "01" + "ac02" + "80d0abfef962" + // version, number 300, ms
	"0707070707070707070707070707070707070707070707070707070707070707" + // hash before
	"09090909090909090909090909090909" + // salt
	"036f7073" + "0561646d696e" + "0b706572736f6e2e72656164" + "03705f78" + "026f6b" + "033a3a31" + "0e7b2276696577223a22616c6c227d"

func seven() (h Hash) { copy(h[:], bytes.Repeat([]byte{7}, 32)); return h }

func nine() (s [saltBytes]byte) { copy(s[:], bytes.Repeat([]byte{9}, saltBytes)); return s }

func TestGoldenEntry(t *testing.T) {
	b := appendRecord(nil, 300, 1_700_000_003_072, seven(), nine(), goldenEntry.appendFields(nil, goldenEntry.Detail))
	if got := hex.EncodeToString(b); got != goldenRecord {
		t.Errorf("record:\n%s\n%s", got, goldenRecord)
	}
	r, err := parseRecord(b)
	if err != nil || !reflect.DeepEqual(r, Record{N: 300, Time: time.UnixMilli(1_700_000_003_072).UTC(), Entry: goldenEntry, Prev: seven(), Hash: hashOf(b)}) {
		t.Errorf("%+v, %v", r, err)
	}
	if got := r.Hash.String(); got != "6ad414eb4f7493122253993483ddd20cd63c1264643e4f7d5685701c83a377f9" {
		t.Errorf("hash: %s", got)
	}
	if got := genesis(make(ed25519.PublicKey, 32)).String(); got != "991a3a4a2d5c4ab434007d5ed6493a0cf5d609213ab20dc3744b003ae81a5254" {
		t.Errorf("genesis: %s", got)
	}
	text, err := json.Marshal(r)
	if want := `{"n":300,"time":"2023-11-14T22:13:23.072Z","actor":"ops","role":"admin","action":"person.read","object":"p_x","outcome":"ok","remote":"::1","detail":{"view":"all"},"prev":"` +
		seven().String() + `","hash":"` + r.Hash.String() + `"}`; err != nil || string(text) != want {
		t.Errorf("%s, %v", text, err)
	}
	var back Hash
	if err := back.UnmarshalText([]byte(r.Hash.String())); err != nil || back != r.Hash {
		t.Errorf("%s, %v", back, err)
	}
	for _, bad := range []string{"", "ab", strings.Repeat("x", 64)} {
		if err := back.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is taken for a hash", bad)
		}
	}
}

func goldenLog() *Log {
	l := &Log{sign: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))}
	l.public = l.sign.Public().(ed25519.PublicKey)
	return l
}

func TestGoldenHead(t *testing.T) {
	l := goldenLog()
	h := l.signHead(tip{300, seven()}, 1_700_000_003_072)
	if got := hex.EncodeToString(h.message()); got != hex.EncodeToString([]byte("reuna audit head 1"))+"000000000000012c"+seven().String()+"0000018bcfe57400" {
		t.Errorf("message: %s", got)
	}
	if got := hex.EncodeToString(h.appendValue(nil)); got != "01"+"80d0abfef962"+seven().String()+hex.EncodeToString(h.Signature) {
		t.Errorf("value: %s", got)
	}
	if got := hex.EncodeToString(h.Signature); got != "f55570ccb162beec70a82c6b1e51b5f982085b4a1cb184b87c413a7efe214ea09fb2e6845844ff250cab130046d3d7ca238e92ffd570ada770618139c272ec04" { // Ed25519 is deterministic
		t.Errorf("signature: %s", got)
	}
	back, err := parseHead(300, h.appendValue(nil), l.public)
	if err != nil || !reflect.DeepEqual(back, h) {
		t.Errorf("%+v, %v", back, err)
	}
	h.Key = "0000000000000000"
	if err := h.Verify(l.public); err == nil || !strings.Contains(err.Error(), "expected 34750f98bd59fcfc") {
		t.Error(err)
	}
}

const goldenHeadFile = `{
  "kind": "reuna audit head 1",
  "n": 300,
  "hash": "0707070707070707070707070707070707070707070707070707070707070707",
  "time": "2023-11-14T22:13:23.072Z",
  "key": "34750f98bd59fcfc",
  "signature": "9VVwzLFivuxwqCxrHlG1+YIIW0ocsYS4fEE6fv4hTqCfsuaEWET/JQyrEwBG09fKI46S/9VwradwYYE5wnLsBA=="
}
`

func TestGoldenHeadFile(t *testing.T) {
	l := goldenLog()
	path := filepath.Join(t.TempDir(), "keys", "head")
	if err := WriteHeadFile(path, l.signHead(tip{300, seven()}, 1_700_000_003_072)); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != goldenHeadFile {
		t.Errorf("%s%v", got, err)
	}
	h, err := parseHeadFile([]byte(goldenHeadFile))
	if err != nil || h.Verify(l.public) != nil || h.N != 300 || h.Hash != seven() {
		t.Errorf("%+v, %v", h, err)
	}
	for name, pair := range map[string][2]string{
		"kind":     {"head 1", "head 2"},
		"key":      {"34750f98bd59fcfc", "../../etc/passwd"},
		"unknown":  {`"n"`, `"m"`},
		"hash":     {`"0707`, `"07`},
		"one head": {"}\n", "}{}"},
		"bytes":    {"}", "}" + strings.Repeat(" ", maxHeadFile)},
	} {
		if _, err := parseHeadFile([]byte(strings.Replace(goldenHeadFile, pair[0], pair[1], 1))); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRecord(f *testing.F) {
	b, err := hex.DecodeString(goldenRecord)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{1, 1, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRecord(b)
		if err != nil {
			return
		}
		again, err := parseRecord(appendRecord(nil, r.N, r.Time.UnixMilli(), r.Prev, nine(), r.appendFields(nil, r.Detail)))
		if again.Hash = r.Hash; err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%+v came back as %+v, %v", r, again, err)
		}
	})
}

func FuzzHeads(f *testing.F) {
	l := goldenLog()
	f.Add([]byte(goldenHeadFile))
	f.Add(l.signHead(tip{300, seven()}, 1_700_000_003_072).appendValue(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		// The key is nobody's but this test's: nothing but what it signed may pass.
		if h, err := parseHead(300, b, l.public); err == nil && (h.N != 300 || h.Hash != seven()) {
			t.Errorf("forged: %+v", h)
		}
		if h, err := parseHeadFile(b); err == nil && h.Verify(l.public) == nil && (h.N != 300 || h.Hash != seven()) {
			t.Errorf("forged: %+v", h)
		}
	})
}

// What an entry costs besides its caller's own bytes: nothing for its record,
// hash and seal.
func TestSealDoesNotAllocate(t *testing.T) {
	b := newBench(t)
	b.open(t, nil)
	l := b.log
	b.close(t) // the committer has ended: its buffers are free
	fields := goldenEntry.appendFields(nil, goldenEntry.Detail)
	prev := seven()
	l.seal(1, 2, prev, fields)
	if n := testing.AllocsPerRun(100, func() { l.seal(1, 2, prev, fields) }); n != 0 {
		t.Errorf("%.1f allocations", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	s := newBench(b)
	s.open(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		s.append(b, goldenEntry)
	}
	s.close(b)
}

func BenchmarkVerify(b *testing.B) {
	s := newBench(b)
	s.open(b, nil)
	const entries = 20_000
	for n := uint64(1000); n <= entries; n += 1000 {
		s.fill(b, n)
	}
	for b.Loop() {
		if r := s.verify(b); !r.OK {
			b.Fatalf("%+v", r)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/entries, "ns/entry")
	s.close(b)
}
