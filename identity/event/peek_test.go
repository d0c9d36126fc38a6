package event

import (
	"math/rand/v2"
	"testing"
)

// peekAgrees holds what Peek says of a record to what Decode makes of it.
func peekAgrees(t *testing.T, record []byte) {
	t.Helper()
	var e Event
	if Decode(&e, string(record)) != nil {
		return // Peek may see that, and need not
	}
	p, err := Peek(record)
	if err != nil || p.Type != e.Type || string(p.Name) != e.Name || p.Timestamp != e.Timestamp || p.Bot != e.Bot.Is || p.Source != e.Source {
		t.Fatalf("%x: peeked %+v, %v; it is %v %q at %d, a robot's: %t, from %v", record, p, err, e.Type, e.Name, e.Timestamp, e.Bot.Is, e.Source)
	}
}

func TestPeekSaysWhatDecodeSays(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for range 3000 {
		e := randomEvent(r)
		for _, record := range [...][]byte{e.AppendBinary(nil), e.appendBinary1(nil), e.appendBinary2(nil)} {
			peekAgrees(t, record)
			if _, err := Peek(record); err != nil {
				t.Fatalf("%+v: %v", e, err)
			}
		}
	}
	for _, broken := range [...]string{"", "\x03", "\x04\x01", "\x00", "\x03\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		if p, err := Peek([]byte(broken)); err == nil {
			t.Errorf("%x: peeked %+v", broken, p)
		}
	}
}

func TestPeekDoesNotAllocate(t *testing.T) {
	e := randomEvent(rand.New(rand.NewPCG(1, 2)))
	record := e.AppendBinary(nil)
	if n := testing.AllocsPerRun(100, func() { _, _ = Peek(record) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzPeek(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 0))
	for range 20 {
		e := randomEvent(r)
		f.Add(e.AppendBinary(nil))
		f.Add(e.appendBinary1(nil))
		f.Add(e.appendBinary2(nil))
	}
	f.Add(make([]byte, 1<<20))
	f.Fuzz(peekAgrees)
}

func BenchmarkPeek(b *testing.B) {
	e := randomEvent(rand.New(rand.NewPCG(1, 2)))
	record := e.AppendBinary(nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Peek(record); err != nil {
			b.Fatal(err)
		}
	}
}
