package event

import (
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/reuna/reuna/identity/wire"
)

// appendBinary1 writes version 1, as programs did before version 2.
func (e *Event) appendBinary1(dst []byte) []byte {
	var bot byte
	if e.Bot.Is {
		bot = 1
	}
	dst = append(dst, 1, byte(e.Type), byte(e.Source), byte(e.Trust), bot)
	dst = binary.AppendVarint(dst, e.ReceivedAt)
	for _, t := range [...]int64{e.Timestamp, e.OriginalTimestamp, e.SentAt} {
		if t == 0 {
			dst = append(dst, 0)
			continue
		}
		d := t - e.ReceivedAt
		dst = binary.AppendUvarint(dst, uint64(d<<1^d>>63)+1)
	}
	dst = binary.AppendUvarint(dst, uint64(e.Geo.ASN))
	for _, s := range e.texts1() {
		dst = wire.AppendText(dst, *s)
	}
	return dst
}

// appendBinary2 writes version 2, as programs did before version 3: it had fewer
// texts and a byte less for the map of them.
func (e *Event) appendBinary2(dst []byte) []byte {
	flags := byte(e.Type) & 7
	for i, there := range [...]bool{e.Bot.Is, e.Timestamp != 0, e.OriginalTimestamp != 0, e.SentAt != 0} {
		if there {
			flags |= 8 << i
		}
	}
	dst = binary.AppendVarint(append(dst, 2, flags), e.ReceivedAt)
	if e.Timestamp != 0 {
		dst = binary.AppendVarint(dst, e.Timestamp-e.ReceivedAt)
	}
	if e.OriginalTimestamp != 0 {
		dst = binary.AppendVarint(dst, e.OriginalTimestamp-e.Timestamp)
	}
	if e.SentAt != 0 {
		dst = binary.AppendVarint(dst, e.SentAt-e.expectedSentAt())
	}
	var ids idList
	var packed byte
	var size [packables]int
	for i, s := range e.packable() {
		before := ids.n
		size[i] = ids.find(*s, i, e.deviceTime())
		if ids.n > before {
			packed |= 1 << i
		}
	}
	for i := range firstID + 1 {
		dst = binary.AppendUvarint(dst, uint64(size[i]))
	}
	dst = ids.append(dst, e.MessageID, firstID)
	dst = append(dst, byte(e.Source), byte(e.Trust), packed)
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0)
	var there uint64
	texts := e.texts()
	for i, s := range texts[:37] {
		if *s == "" {
			continue
		}
		there |= 1 << i
		if p := packedAs(i); p < 0 {
			dst = wire.AppendText(dst, *s)
		} else {
			if p > firstID {
				dst = binary.AppendUvarint(dst, uint64(size[p]))
			}
			dst = ids.append(dst, *s, p)
		}
	}
	if e.Geo.ASN != 0 {
		there |= 1 << 37
		dst = binary.AppendUvarint(dst, uint64(e.Geo.ASN))
	}
	for i := range 5 {
		dst[at+i] = byte(there >> (8 * i))
	}
	return dst
}

// versions are the ways in which a record may have been written. The older ones
// leave out what they did not know (newTexts).
func versions(e *Event) map[int]string {
	return map[int]string{1: string(e.appendBinary1(nil)), 2: string(e.appendBinary2(nil)), 3: string(e.AppendBinary(nil))}
}

// newTexts are the fields that version 3 was made for.
func (e *Event) newTexts() []*string {
	texts := e.texts()
	return texts[37:]
}

// uuidOf writes 16 bytes as RFC 9562 does.
func uuidOf(b [16]byte) string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// randomID is an id of any kind that is packed, or of one that looks alike and is not.
func randomID(r *rand.Rand, clock int64) string {
	var b [16]byte
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	at := clock + r.Int64N(2*near) - near
	if r.IntN(2) == 0 {
		at = clock + r.Int64N(9) - 4
	}
	timed := b
	binary.BigEndian.PutUint16(timed[:], uint16(at>>32))
	binary.BigEndian.PutUint32(timed[2:], uint32(at))
	visitor := "v_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
	switch r.IntN(12) {
	case 0, 1:
		return uuidOf(b)
	case 2, 3:
		return uuidOf(timed)
	case 4:
		return fmt.Sprintf("ajs-next-%d-%s", at, uuidOf(b))
	case 5:
		return fmt.Sprintf("%d-%s", r.Int64N(1e13), uuidOf(timed))
	case 6:
		return visitor
	case 7:
		return hex.EncodeToString(b[:])
	case 8:
		return strings.ToUpper(uuidOf(b)) // and what is left alone:
	case 9:
		return visitor[:27] + string("abcdefghijklmnopqrstuvwxyz2345678_A"[r.IntN(35)])
	case 10:
		s := []byte(uuidOf(b))
		s[r.IntN(len(s))] = byte(r.IntN(256))
		return string(s)
	}
	return uuidOf(b)[:r.IntN(37)]
}

func randomText(r *rand.Rand, clock int64) string {
	b := make([]byte, r.IntN(12))
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	switch r.IntN(4) {
	case 0:
		return ""
	case 1:
		return randomID(r, clock)
	case 2:
		var text strings.Builder
		for range r.IntN(8) {
			text.WriteString(`,"id":"`)
			text.WriteString(randomID(r, clock))
		}
		return text.String()
	}
	return string(b)
}

func randomTime(r *rand.Rand) int64 {
	switch r.IntN(8) {
	case 0:
		return 0
	case 1:
		return [...]int64{math.MinInt64, math.MaxInt64, -1, 1, 1e12 - 1, 1e13, 1 << 48}[r.IntN(7)]
	}
	return 1_700_000_000_000 + r.Int64N(1e6)
}

func randomEvent(r *rand.Rand) Event {
	e := Event{
		Type: Type(1 + r.IntN(6)), Source: Source(r.IntN(256)), Trust: 2,
		ReceivedAt: randomTime(r), Timestamp: randomTime(r), OriginalTimestamp: randomTime(r), SentAt: randomTime(r),
	}
	clock := e.deviceTime()
	for _, s := range e.texts() {
		*s = randomText(r, clock)
	}
	e.MessageID = randomText(r, clock)
	e.Bot.Is = r.IntN(2) == 0
	if r.IntN(2) == 0 {
		e.Geo.ASN = r.Uint32()
	}
	return e
}

func TestEncodedEventsComeBackWhole(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 4))
	for range 5000 {
		e := randomEvent(r)
		for version, record := range versions(&e) {
			if version == 1 && (farFrom(e.Timestamp, e.ReceivedAt) || farFrom(e.OriginalTimestamp, e.ReceivedAt) || farFrom(e.SentAt, e.ReceivedAt)) {
				continue // version 1 took a difference of -2⁶³ for "not said"
			}
			want, back := e, Event{}
			if version < 3 {
				for _, s := range want.newTexts() {
					*s = ""
				}
			}
			if err := Decode(&back, record); err != nil || !reflect.DeepEqual(want, back) {
				t.Fatalf("version %d: %v\n%+v\n%+v", version, err, want, back)
			}
		}
	}
	// Every field is part of the record: one that is forgotten would come back empty.
	e := new(Event)
	want := countStrings(reflect.TypeOf(*e))
	if n := len(e.texts1()) + len(e.newTexts()); n != want {
		t.Errorf("Event has %d text fields, its record of version 1 and what came later %d", want, n)
	}
	fields := map[*string]bool{&e.MessageID: true}
	for _, s := range e.texts() {
		fields[s] = true
	}
	if len(fields) != want {
		t.Errorf("Event has %d text fields, its record %d", want, len(fields))
	}
	for i, s := range e.texts() {
		if p := packedAs(i); p >= 0 && e.packable()[p] != s {
			t.Errorf("text %d is not packable text %d", i, p)
		}
	}
}

func farFrom(a, b int64) bool { return a != 0 && a-b == math.MinInt64 }

func countStrings(t reflect.Type) (n int) {
	for i := range t.NumField() {
		switch f := t.Field(i).Type; f.Kind() {
		case reflect.String:
			n++
		case reflect.Struct:
			n += countStrings(f)
		}
	}
	return n
}

func sample() Event {
	return Event{
		Type: Page, Source: FromTag, Trust: 1, Name: "Home", MessageID: "018bcfe5-6bce-7fff-8001-020304050607",
		AnonymousID: "v_aaaqeayeaudaocajbifqydiob4", UserID: "ada", Site: "shop", IP: "192.0.2.0",
		ReceivedAt: 1_700_000_001_000, Timestamp: 1_700_000_000_990, OriginalTimestamp: 1_700_000_000_975, SentAt: 1_700_000_000_985,
		Properties: `{"a":1}`, Context: `{"pageViewId":"018bcfe5-6bd0-7aaa-9bbb-cccccccccccc"}`,
		Device: Device{Type: "desktop"}, Geo: Geo{Country: "FI", ASN: 719}, Traffic: Traffic{Referrer: "www.google.com"},
	}
}

// TestTheRecordsArePinned: a change here is a new on-disk version. What a
// version wrote stays readable for ever.
func TestTheRecordsArePinned(t *testing.T) {
	e := sample()
	const v1 = "\x01\x02\x01\x01\x00\xd0\xaf\xab\xfe\xf9b\x14\x32\x1e\xcf\x05\x04shop\x04Home\x00$018bcfe5-6bce-7fff-8001-020304050607\x1cv_aaaqeayeaudaocajbifqydiob4\x03ada\x00\x00" +
		"\x07{\"a\":1}\x00\x35{\"pageViewId\":\"018bcfe5-6bd0-7aaa-9bbb-cccccccccccc\"}\x00\x09192.0.2.0\x07desktop\x00\x00\x00\x00\x00\x00\x02FI\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x0ewww.google.com\x00\x00\x00"
	const v2 = "\x02r\xd0\xaf\xab\xfe\xf9b\x13\x1d\x00\x07\x00\x1d\x0c\xff\x09\x7f\xff\x80\x01\x02\x03\x04\x05\x06\x07\x01\x01\x1c\x05\x10\x14\x08>\x04Home{\"a\":1}\x0ewww.google.com" +
		"{\"pageViewId\":\"\xff\x11z\xaa\x9b\xbb\xcc\xcc\xcc\xcc\xcc\xcc\"}\x07desktop\x02FI\x09192.0.2.0\x12\xff\x03\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x03ada\x04shop\xcf\x05"
	v3 := "\x03" + strings.Replace(v2[1:], "\x05\x10\x14\x08>", "\x05\x10\x14\x08\x1e\x02", 1)
	for version, want := range map[int]string{1: v1, 2: v2, 3: v3} {
		if got := versions(&e)[version]; got != want {
			t.Errorf("version %d: record is %q\nwant %q", version, got, want)
		}
		var back Event
		if err := Decode(&back, want); err != nil || !reflect.DeepEqual(e, back) {
			t.Errorf("version %d: %v, read %+v\nwant %+v", version, err, back, e)
		}
	}
}

// TestIDsThatArePacked pins each kind of id, and what is left as it is.
func TestIDsThatArePacked(t *testing.T) {
	const clock = 0x018bcfe56bce
	const raw = "\x01\x8b\xcf\xe5\x6b\xce\x7f\xff\x80\x01\x02\x03\x04\x05\x06\x07"
	for text, want := range map[string]string{
		"018bcfe5-6bce-7fff-8001-020304050607":                        "\xff\x01" + raw[6:],
		"018bcfe5-6bcd-7fff-8001-020304050607":                        "\xff\x09" + raw[6:],
		"118bcfe5-6bce-7fff-8001-020304050607":                        "\xff\x00\x11" + raw[1:],
		"ajs-next-1700000000974-018bcfe5-6bce-7fff-8001-020304050607": "ajs-next-\xff\x02" + raw,
		"ajs-next-1700000000975-018bcfe5-6bce-7fff-8001-020304050607": "ajs-next-\xff\x12" + raw,
		"1800000000974-018bcfe5-6bce-7fff-8001-020304050607":          "1800000000974-\xff\x01" + raw[6:],
		"v_agf47zllzz777aabaibqibiga4":                                "\xff\x03" + raw,
		"018bcfe56bce7fff8001020304050607":                            "\xff\x04" + raw,

		"018BCFE5-6bce-7fff-8001-020304050607":     "", // capitals
		"018bcfe5-6bce-7fff-8001-02030405060":      "", // cut short
		"018bcfe5-6bce-7fff-80010-20304050607":     "", // another costume
		"v_agf47zllzz777aabaibqibiga5":             "", // bits behind the last byte
		"v_AGF47ZLLZZ777AABAIBQIBIGA4":             "",
		"x018bcfe56bce7fff8001020304050607":        "", // not the whole text
		"\xff018bcfe5-6bce-7fff-8001-020304050607": "", // the marker itself
	} {
		var ids idList
		if want == "" {
			want = text
		}
		size := ids.find(text, firstID, clock)
		if got := string(ids.append(nil, text, firstID)); got != want || size != len(want) {
			t.Errorf("%q: packed %q of %d bytes, want %q", text, got, size, want)
		}
	}
}

// More ids than there is room for stay text.
func TestManyIDs(t *testing.T) {
	e := Event{Type: Track, ReceivedAt: 1_700_000_000_000}
	r := rand.New(rand.NewPCG(1, 1))
	for range 3 * maxIDs {
		e.Properties += Value(`"` + randomID(r, e.ReceivedAt) + `"`)
	}
	e.Traits, e.MessageID = e.Properties, "018bcfe5-6bce-7fff-8001-020304050607"
	var back Event
	if err := Decode(&back, string(e.AppendBinary(nil))); err != nil || !reflect.DeepEqual(e, back) {
		t.Errorf("%v: %+v\nwant %+v", err, back, e)
	}
}

func TestDecodeRefusesBrokenRecords(t *testing.T) {
	e := sample()
	for version, record := range versions(&e) {
		for n := range len(record) {
			var back Event
			if err := Decode(&back, record[:n]); err == nil || back != (Event{}) {
				t.Errorf("version %d cut to %d bytes: %v, %+v", version, n, err, back)
			}
		}
		var back Event
		if Decode(&back, record+"x") == nil {
			t.Errorf("version %d: a byte too many is taken", version)
		}
	}
	var back Event
	for _, record := range []string{"", "\x00", "\x04" + string(e.AppendBinary(nil)[1:])} {
		if Decode(&back, record) == nil {
			t.Errorf("%.9q is taken", record)
		}
	}
	for at, bit := range map[int]byte{1: 0x80, 35: 0x04} { // a flag and a text that there are not
		record := e.AppendBinary(nil)
		record[at] |= bit
		if err := Decode(&back, string(record)); err == nil {
			t.Errorf("bit %#x of byte %d is taken", bit, at)
		}
	}
	// Ids that nobody packs: a time before 1970, another kind, a cut one.
	for _, id := range []string{"\xff\xf9\xff\xff\xff\x0f0123456789", "\xff\x050123456789abcdef", "\xff\x07", "\xff", "\xff\x000123456789abcde", "\xff\x02" + "0123456789abcdef"} {
		head := string([]byte{3, byte(Track), 2, 0, 0, 0, byte(len(id))})
		if Decode(&back, head+id+"\x01\x01\x08\x00\x00\x00\x00\x00\x00") == nil {
			t.Errorf("id %q is taken: %q", id, back.MessageID)
		}
	}
}

// FuzzDecode: bytes from a disk may be anything.
func FuzzDecode(f *testing.F) {
	e := sample()
	for _, record := range versions(&e) {
		f.Add(record)
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 20 {
		e := randomEvent(r)
		for _, record := range versions(&e) {
			f.Add(record)
		}
	}
	f.Fuzz(func(t *testing.T, s string) {
		var e, again Event
		if Decode(&e, s) != nil {
			return
		}
		if err := Decode(&again, string(e.AppendBinary(nil))); err != nil || !reflect.DeepEqual(e, again) {
			t.Fatalf("%v: %+v, %+v", err, e, again)
		}
	})
}

// FuzzIDs: whatever a text is, it comes back byte for byte.
func FuzzIDs(f *testing.F) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 40 {
		f.Add(randomID(r, 1_700_000_000_000), int64(1_700_000_000_000))
	}
	var room []byte
	f.Fuzz(func(t *testing.T, s string, clock int64) {
		e := Event{Type: Track, Properties: Value(s), MessageID: s, AnonymousID: s, ReceivedAt: clock}
		var back Event
		if err := Decode(&back, string(e.AppendBinary(nil))); err != nil || e != back {
			t.Fatalf("%v: %+v, want %+v", err, back, e)
		}
		var err error
		if room, err = DecodeInto(&back, string(e.AppendBinary(nil)), room[:0]); err != nil || e != back {
			t.Fatalf("%v: into room %+v, want %+v", err, back, e)
		}
	})
}

func TestTheCodecDoesNotAllocate(t *testing.T) {
	e := sample()
	var buf, room []byte
	var back Event
	packed := string(e.AppendBinary(nil))
	e.MessageID, e.AnonymousID, e.Context = "m", "a", "{}"
	plain := string(e.AppendBinary(nil))
	for name, c := range map[string]struct {
		want float64
		do   func() error
	}{
		"encode": {0, func() error { buf = e.AppendBinary(buf[:0]); return nil }},
		"decode": {0, func() error { return Decode(&back, plain) }},
		// One string that has all the texts which were packed.
		"decode packed": {1, func() error { return Decode(&back, packed) }},
		"into room":     {0, func() (err error) { room, err = DecodeInto(&back, packed, room[:0]); return err }},
	} {
		if n := testing.AllocsPerRun(100, func() {
			if err := c.do(); err != nil {
				t.Fatal(err)
			}
		}); n > c.want {
			t.Errorf("%s: %v allocations, want %v", name, n, c.want)
		}
	}
}

func BenchmarkCodec(b *testing.B) {
	e := sample()
	e.Context = Value(`{"seq":1,"library":{"name":"reuna.js","version":"0.1.0"},"page":{"url":"https://www.example.com/a-page/of-many","path":"/a-page/of-many","title":"A page – of many"},` +
		`"pageViewId":"018bcfe5-6bd0-7aaa-9bbb-cccccccccccc","locale":"en-US","timezoneOffset":-300,"screen":{"width":1920,"height":1080,"density":1,"innerWidth":1920,"innerHeight":969}}`)
	for version, record := range versions(&e) {
		b.Run(fmt.Sprintf("encode %d", version), func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				switch version {
				case 1:
					buf = e.appendBinary1(buf[:0])
				case 2:
					buf = e.appendBinary2(buf[:0])
				default:
					buf = e.AppendBinary(buf[:0])
				}
			}
		})
		b.Run(fmt.Sprintf("decode %d", version), func(b *testing.B) {
			b.ReportAllocs()
			var back Event
			for b.Loop() {
				if err := Decode(&back, record); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
