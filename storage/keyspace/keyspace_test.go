package keyspace

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

func hash(b byte) (h Hash) {
	for i := range h {
		h[i] = b
	}
	return h
}

// The layout is on disk: these bytes may be added to, never changed.
func TestLayoutIsPinned(t *testing.T) {
	a, b := hash(0xaa), hash(0xbb)
	const (
		as = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		bs = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	)
	for name, c := range map[string]struct {
		key  []byte
		want string
	}{
		"meta":        {AppendMeta(nil, MetaFormat), "01" + hex.EncodeToString([]byte("format"))},
		"meta origin": {AppendMeta(nil, MetaOrigin), "01" + hex.EncodeToString([]byte("origin"))},
		"meta vault":  {AppendMeta(nil, MetaVault), "01" + hex.EncodeToString([]byte("vault"))},
		"meta head":   {AppendMeta(nil, MetaHead), "01" + hex.EncodeToString([]byte("head"))},
		"meta old":    {AppendMeta(nil, MetaExpired), "01" + hex.EncodeToString([]byte("expired"))},
		"log block":   {AppendLogBlock(nil, 258), "020000000000000102"},
		"install":     {AppendVault(nil, VaultInstall, nil), "0369"},
		"wrap":        {AppendVaultID(nil, VaultWrap, 1), "037700000001"},
		"epoch":       {AppendVaultID(nil, VaultEpoch, 1), "036500000001"},
		"facet key":   {AppendVault(nil, VaultFacet, a[:]), "0366" + as},
		"facet":       {AppendFacet(nil, a), "04" + as},
		"node":        {AppendNode(nil, a, b), "05" + as + bs},
		"pair":        {AppendPair(nil, a, b), "06" + as + bs},
		"event":       {AppendEvent(nil, a, 1, 2), "07" + as + "8000000000000001" + "0000000000000002"},
		"old event":   {AppendEvent(nil, a, -1, 2), "07" + as + "7fffffffffffffff" + "0000000000000002"},
		"dedupe":      {AppendDedupe(nil, a), "08" + as},
		"session":     {AppendSession(nil, a), "09" + as},
		"quarantine":  {AppendQuarantine(nil, 3), "0a0000000000000003"},
		"cursor":      {AppendCursor(nil, "people"), "0b" + hex.EncodeToString([]byte("people"))},
		"history":     {AppendHistory(nil, MonthOf(0), a, 1, 5), "0c80000000" + as + "00010000000000000005"},
		"old history": {AppendHistoryPrefix(nil, MonthOf(-1), b), "0c7fffffff" + bs},
		"tombstone":   {AppendTombstone(nil, a), "0d" + as},
		"erasure":     {AppendErasure(nil, 6), "0e0000000000000006"},
		"audit":       {AppendAudit(nil, 7), "0f0000000000000007"},
		"audit head":  {AppendAuditHead(nil, 8), "100000000000000008"},
		"again":       {AppendAgain(nil, b), "11" + bs},
		"reader":      {AppendReader(nil, "loss", "b"), "12" + hex.EncodeToString([]byte("loss\x00b"))},
		"standing":    {AppendStanding(nil, a), "13" + as},
		"member":      {AppendMember(nil, 258, b), "1400000102" + bs},
		"due":         {AppendDue(nil, 1, a), "158000000000000001" + as},
		"past due":    {AppendDue(nil, -1, a), "157fffffffffffffff" + as},
		"definition":  {AppendDefinition(nil, DefinitionVersion, append(a[:], 0, 0, 0, 1)), "1676" + as + "00000001"},
		"series":      {AppendDefinition(nil, DefinitionSeries, []byte{0, 0, 0, 1}), "167300000001"},
		"audience":    {AppendDefinition(nil, DefinitionAudience, []byte{0, 0, 0, 1}), "166100000001"},
		"job":         {AppendDefinition(nil, DefinitionJob, b[:]), "166a" + bs},
		"counters":    {AppendDefinition(nil, DefinitionCounters, nil), "166e"},
		"whole space": {AppendSpace(nil, Pair), "06"},
	} {
		if got := hex.EncodeToString(c.key); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func seeded(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func randomHash(r *rand.Rand) (h Hash) {
	for i := range h {
		h[i] = byte(r.IntN(4)) * 85 // few values, 0x00 and 0xff among them
	}
	return h
}

func TestRoundTrip(t *testing.T) {
	r := seeded(t)
	for range 2000 {
		a, b, seq, ms := randomHash(r), randomHash(r), r.Uint64(), int64(r.Uint64())
		for name, fn := range map[string]func([]byte) (uint64, error){
			"log block": ParseLogBlock, "erasure": ParseErasure, "audit": ParseAudit, "audit head": ParseAuditHead,
		} {
			key := map[string][]byte{"log block": AppendLogBlock(nil, seq), "erasure": AppendErasure(nil, seq),
				"audit": AppendAudit(nil, seq), "audit head": AppendAuditHead(nil, seq)}[name]
			if s, err := fn(key); s != seq || err != nil {
				t.Fatal(name, s, err)
			}
		}
		m, origin := Month(r.Uint32()), uint16(r.Uint32())
		if gm, o, n, s, err := ParseHistory(AppendHistory(nil, m, a, origin, seq)); gm != m || o != a || n != origin || s != seq || err != nil {
			t.Fatal("history", gm, o, n, s, err)
		}
		if x := MonthOf(ms); x.Begin() > ms && x > MonthOf(math.MinInt64) || (x+1).Begin() <= ms && x < MonthOf(math.MaxInt64) {
			t.Fatal("month of", ms, "begins", x.Begin())
		}
		if f, m, s, err := ParseEvent(AppendEvent(nil, a, ms, seq)); f != a || m != ms || s != seq || err != nil {
			t.Fatal("event", f, m, s, err)
		}
		for name, fn := range map[string]func([]byte) (Hash, error){
			"facet": ParseFacet, "dedupe": ParseDedupe, "session": ParseSession, "tombstone": ParseTombstone, "again": ParseAgain,
		} {
			key := map[string][]byte{"facet": AppendFacet(nil, a), "dedupe": AppendDedupe(nil, a), "session": AppendSession(nil, a),
				"tombstone": AppendTombstone(nil, a), "again": AppendAgain(nil, a)}[name]
			if h, err := fn(key); h != a || err != nil {
				t.Fatal(name, h, err)
			}
		}
		if h, err := ParseStanding(AppendStanding(nil, a)); h != a || err != nil {
			t.Fatal("standing", h, err)
		}
		if n, h, err := ParseMember(AppendMember(nil, uint32(seq), a)); n != uint32(seq) || h != a || err != nil {
			t.Fatal("member", n, h, err)
		}
		if at, h, err := ParseDue(AppendDue(nil, ms, a)); at != ms || h != a || err != nil {
			t.Fatal("due", at, h, err)
		}
		if x, y, err := ParseNode(AppendNode(nil, a, b)); x != a || y != b || err != nil {
			t.Fatal("node", x, y, err)
		}
		if x, y, err := ParsePair(AppendPair(nil, a, b)); x != a || y != b || err != nil {
			t.Fatal("pair", x, y, err)
		}
		if s, err := ParseQuarantine(AppendQuarantine(nil, seq)); s != seq || err != nil {
			t.Fatal("quarantine", s, err)
		}
		if kind, id, err := ParseVault(AppendVault(nil, VaultFacet, a[:])); kind != VaultFacet || !bytes.Equal(id, a[:]) || err != nil {
			t.Fatal("vault", kind, id, err)
		}
	}
	if name, err := ParseCursor(AppendCursor(nil, "a/b")); name != "a/b" || err != nil {
		t.Fatal("cursor", name, err)
	}
	if name, part, err := ParseReader(AppendReader(nil, "loss", "h\x00\x01")); name != "loss" || part != "h\x00\x01" || err != nil {
		t.Fatal("reader", name, part, err)
	}
	for _, key := range [][]byte{{}, {byte(Reader)}, AppendReaderPrefix(nil, "loss"), AppendReader(nil, "", "b"), AppendCursor(nil, "a\x00b")} {
		if name, part, err := ParseReader(key); err == nil {
			t.Errorf("%x is read as %q of %q", key, part, name)
		}
	}
}

// What is not a record about definitions is not read as one.
func TestDefinitionKeys(t *testing.T) {
	widths := map[byte]int{DefinitionVersion: 20, DefinitionSeries: 4, DefinitionAudience: 4, DefinitionJob: 16, DefinitionCounters: 0}
	for kind := range 256 {
		for n := range 24 {
			rest := bytes.Repeat([]byte{byte(n)}, n)
			width, known := widths[byte(kind)]
			k, got, err := ParseDefinition(AppendDefinition(nil, byte(kind), rest))
			if (err == nil) != (known && n == width) {
				t.Errorf("kind %#02x with %d bytes: %v", kind, n, err)
			}
			if err == nil && (k != byte(kind) || !bytes.Equal(got, rest)) {
				t.Errorf("kind %#02x with %x came back as %#02x with %x", kind, rest, k, got)
			}
		}
	}
	for _, key := range [][]byte{{}, {byte(Definition)}, {byte(Reader), DefinitionCounters}} {
		if kind, _, err := ParseDefinition(key); err == nil {
			t.Errorf("%x is read as kind %#02x", key, kind)
		}
	}
}

// Keys sort like what they say: that is what iteration relies on.
func TestOrder(t *testing.T) {
	r := seeded(t)
	times := []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}
	for range 2000 {
		f := randomHash(r)
		m1, m2 := times[r.IntN(len(times))], times[r.IntN(len(times))]
		s1, s2 := r.Uint64N(3), r.Uint64N(3)
		want := 0
		if m1 < m2 || m1 == m2 && s1 < s2 {
			want = -1
		} else if m1 != m2 || s1 != s2 {
			want = 1
		}
		if got := bytes.Compare(AppendEvent(nil, f, m1, s1), AppendEvent(nil, f, m2, s2)); got != want {
			t.Fatalf("events (%d,%d) and (%d,%d) compare %d", m1, s1, m2, s2, got)
		}
		if from := AppendEventTime(nil, f, m1); (bytes.Compare(AppendEvent(nil, f, m2, s2), from) >= 0) != (m2 >= m1) {
			t.Fatalf("event at %d against the bound of %d", m2, m1)
		}
	}
}

// Histories sort by month, then owner, then origin, then entry: one month goes
// with one range, and what an owner has of it is another.
func TestHistoryOrder(t *testing.T) {
	r := seeded(t)
	months := []Month{MonthOf(math.MinInt64), MonthOf(-1), MonthOf(0), MonthOf(0) + 1, MonthOf(math.MaxInt64)}
	type place struct {
		m      Month
		owner  Hash
		origin uint16
		seq    uint64
	}
	random := func() place {
		return place{months[r.IntN(len(months))], hash([]byte{0, 1, 255}[r.IntN(3)]), []uint16{1, 2, 256}[r.IntN(3)], []uint64{1, 255, 256}[r.IntN(3)]}
	}
	for range 3000 {
		a, b := random(), random()
		want := cmp.Or(cmp.Compare(a.m, b.m), bytes.Compare(a.owner[:], b.owner[:]), cmp.Compare(a.origin, b.origin), cmp.Compare(a.seq, b.seq))
		ka, kb := AppendHistory(nil, a.m, a.owner, a.origin, a.seq), AppendHistory(nil, b.m, b.owner, b.origin, b.seq)
		if got := bytes.Compare(ka, kb); got != want {
			t.Fatalf("%v and %v compare %d, want %d", a, b, got, want)
		}
		if bytes.HasPrefix(ka, AppendMonth(nil, b.m)) != (a.m == b.m) || bytes.HasPrefix(ka, AppendHistoryPrefix(nil, b.m, b.owner)) != (a.m == b.m && a.owner == b.owner) {
			t.Fatalf("%v and the prefixes of %v", a, b)
		}
	}
}

func TestMonths(t *testing.T) {
	ms := func(text string) int64 {
		at, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return at.UnixMilli()
	}
	for _, c := range []struct{ begin, last string }{
		{"1970-01-01T00:00:00Z", "1970-01-31T23:59:59.999Z"},
		{"1969-12-01T00:00:00Z", "1969-12-31T23:59:59.999Z"},
		{"2024-02-01T00:00:00Z", "2024-02-29T23:59:59.999Z"},
		{"2026-02-01T02:00:00+02:00", "2026-03-01T01:59:59.999+02:00"}, // months are those of UTC
	} {
		m := MonthOf(ms(c.begin))
		if m.Begin() != ms(c.begin) || MonthOf(ms(c.last)) != m || MonthOf(ms(c.last)+1) != m+1 || MonthOf(ms(c.begin)-1) != m-1 {
			t.Errorf("month %d begins at %d, want %s to %s", m, m.Begin(), c.begin, c.last)
		}
	}
	if a, b := MonthOf(math.MinInt64), MonthOf(math.MaxInt64); a >= MonthOf(0) || b <= MonthOf(0) {
		t.Errorf("the outermost months are %d and %d", a, b)
	}
}

// Bounds hold exactly the keys with the prefix, whatever bytes end it.
func TestBounds(t *testing.T) {
	r := seeded(t)
	for range 5000 {
		prefix, key := make([]byte, r.IntN(4)), make([]byte, r.IntN(5))
		for _, s := range [][]byte{prefix, key} {
			for i := range s {
				s[i] = byte(0xfe + r.IntN(3)) // 0xfe, 0xff, 0x00
			}
		}
		lower, upper := Bounds(prefix)
		in := bytes.Compare(key, lower) >= 0 && (len(upper) == 0 || bytes.Compare(key, upper) < 0)
		if in != bytes.HasPrefix(key, prefix) {
			t.Fatalf("prefix %x, key %x: in bounds %v", prefix, key, in)
		}
	}
	if got := Upper([]byte("keep"), []byte{1, 0xff}); string(got) != "keep\x02" {
		t.Errorf("Upper appends: %q", got)
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 64)
	a := hash(1)
	if n := testing.AllocsPerRun(100, func() {
		buf = AppendEvent(buf[:0], a, 1, 2)
		buf = AppendNode(buf[:0], a, a)
		buf = AppendLogBlock(buf[:0], 3)
		if _, _, _, err := ParseEvent(AppendEvent(buf[:0], a, 1, 2)); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%.0f allocations", n)
	}
}

// What a parser takes is exactly what its writer writes.
func FuzzParse(f *testing.F) {
	f.Add(AppendLogBlock(nil, 2))
	f.Add(AppendEvent(nil, hash(1), -3, 4))
	f.Add(AppendNode(nil, hash(1), hash(2)))
	f.Add(AppendVaultID(nil, VaultEpoch, 7))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, key []byte) {
		same := func(what string, again []byte, err error) {
			if err == nil && !bytes.Equal(again, key) {
				t.Errorf("%s: %x is read, but written as %x", what, key, again)
			}
		}
		seq, err := ParseLogBlock(key)
		same("log block", AppendLogBlock(nil, seq), err)
		m, owner, origin, seq, err := ParseHistory(key)
		same("history", AppendHistory(nil, m, owner, origin, seq), err)
		kind, id, err := ParseVault(key)
		same("vault", AppendVault(nil, kind, id), err)
		h, err := ParseFacet(key)
		same("facet", AppendFacet(nil, h), err)
		a, b, err := ParseNode(key)
		same("node", AppendNode(nil, a, b), err)
		a, b, err = ParsePair(key)
		same("pair", AppendPair(nil, a, b), err)
		a, ms, seq, err := ParseEvent(key)
		same("event", AppendEvent(nil, a, ms, seq), err)
		h, err = ParseDedupe(key)
		same("dedupe", AppendDedupe(nil, h), err)
		h, err = ParseSession(key)
		same("session", AppendSession(nil, h), err)
		seq, err = ParseQuarantine(key)
		same("quarantine", AppendQuarantine(nil, seq), err)
		h, err = ParseTombstone(key)
		same("tombstone", AppendTombstone(nil, h), err)
		h, err = ParseAgain(key)
		same("again", AppendAgain(nil, h), err)
		seq, err = ParseErasure(key)
		same("erasure", AppendErasure(nil, seq), err)
		seq, err = ParseAudit(key)
		same("audit", AppendAudit(nil, seq), err)
		seq, err = ParseAuditHead(key)
		same("audit head", AppendAuditHead(nil, seq), err)
		name, err := ParseCursor(key)
		same("cursor", AppendCursor(nil, name), err)
		name, part, err := ParseReader(key)
		same("reader", AppendReader(nil, name, part), err)
	})
}
