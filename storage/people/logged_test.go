package people

import (
	"encoding/hex"
	"testing"

	"github.com/reuna/reuna/identity/event"
)

// TestRefusedLayouts pins both versions of a refused message's entry, and reads
// them as readers behind the log do.
func TestRefusedLayouts(t *testing.T) {
	x := Refused{Site: "shop", Source: event.FromTag, ReceivedAt: 3, Code: "c", Field: "f", Message: "m", Raw: "{}"}
	for run, want := range map[string]string{
		"":   "02010106" + "0473686f70" + "0163" + "0166" + "016d" + "027b7d",
		"r1": "02020106" + "0473686f70" + "0163" + "0166" + "016d" + "027b7d" + "027231",
	} {
		x.Run = run
		entry := x.append(nil)
		if got := hex.EncodeToString(entry); got != want {
			t.Errorf("with run %q: %s, want %s", run, got, want)
		}
		var e event.Event
		var back Refused
		if said, err := ReadEntry(entry, &e, &back); said != SaidRefused || err != nil || back != x {
			t.Errorf("with run %q: %v %v, %+v", run, said, err, back)
		}
		if _, err := ReadEntry(entry[:len(entry)-1], &e, &back); err == nil {
			t.Error("a cut entry is read")
		}
	}
	for _, c := range []struct {
		entry []byte
		said  Said
		bad   bool
	}{{[]byte{0}, SaidNothing, false}, {[]byte{3}, SaidNothing, false}, {nil, SaidNothing, true}, {[]byte{77}, SaidNothing, true}, {[]byte{1}, SaidEvent, true}} {
		var e event.Event
		var x Refused
		if said, err := ReadEntry(c.entry, &e, &x); said != c.said || (err != nil) != c.bad {
			t.Errorf("%x: %v %v", c.entry, said, err)
		}
	}
}
