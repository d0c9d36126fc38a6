package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"
)

func key(b byte) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, 32)) }

func public(k ed25519.PrivateKey) ed25519.PublicKey { return k.Public().(ed25519.PublicKey) }

func sample() Erasure {
	return Erasure{
		ID: "er_1", Origin: strings.Repeat("0f", 16), Seq: 812,
		Requested: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), Decided: time.Date(2026, 3, 1, 9, 0, 1, 0, time.UTC),
		Completed: time.Date(2026, 3, 1, 10, 0, 4, 5e6, time.FixedZone("CET", 3600)),
		View:      "all", Identifiers: []string{strings.Repeat("ab", 16), strings.Repeat("01", 16)},
		Facets: 3, Events: 240, LogEntriesBlanked: 12, HistoryChunks: 7, EvidenceRecords: 4, Sessions: 1, Refused: 2,
		KeysDestroyed: 5, GroupsRewritten: 5, Tombstones: 2, CompactedRanges: 9, Reason: "Art. 17 <GDPR>",
	}
}

// The example that the specification gives (protocol.md, "PAE").
func TestPAE(t *testing.T) {
	if got := string(pae("http://example.com/HelloWorld", []byte("hello world"))); got != "DSSEv1 29 http://example.com/HelloWorld 11 hello world" {
		t.Errorf("%q", got)
	}
	if got := string(pae("", nil)); got != "DSSEv1 0  0 " {
		t.Errorf("%q", got)
	}
}

// Format 1 of the receipt: these bytes stay good for ever.
func TestGolden(t *testing.T) {
	got, err := SignErasure(key(1), sample())
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != golden {
		t.Errorf("%s", got)
	}
	e, err := VerifyErasure(public(key(1)), []byte(golden))
	want := sample()
	want.Receipt, want.Install, want.Completed = ErasureKind, "34750f98bd59fcfc", want.Completed.UTC()
	if err != nil || !reflect.DeepEqual(e, want) {
		t.Errorf("%+v, %v", e, err)
	}
	k, err := EmbeddedKey(got)
	if err != nil || !k.Equal(public(key(1))) {
		t.Error(k, err)
	}
}

// No change of any byte is taken, unless the envelope says the same still.
func TestEveryFlipIsSeen(t *testing.T) {
	good, err := SignErasure(key(1), sample())
	if err != nil {
		t.Fatal(err)
	}
	want, err := VerifyErasure(public(key(1)), good)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << r.IntN(8)
		e, err := VerifyErasure(public(key(1)), bad)
		if err == nil && !reflect.DeepEqual(e, want) {
			t.Errorf("byte %d changed: %+v", i, e)
		}
		if err != nil && (!errors.Is(err, ErrEnvelope) && !errors.Is(err, ErrSignature) || !reflect.DeepEqual(e, Erasure{})) {
			t.Errorf("byte %d changed: %v, %+v", i, err, e)
		}
	}
}

func TestForgeries(t *testing.T) {
	payload := []byte(`{"a":1}`)
	envelopeOf := func(change func(*envelope)) []byte {
		text, err := Sign(key(1), "x/y", payload)
		if err != nil {
			t.Fatal(err)
		}
		var e envelope
		if err := json.Unmarshal(text, &e); err != nil {
			t.Fatal(err)
		}
		change(&e)
		text, err = json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	other, err := Sign(key(2), "x/y", payload)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		text []byte
		want error
		says string
	}{
		{"as it is", envelopeOf(func(*envelope) {}), nil, ""},
		{"without key names", envelopeOf(func(e *envelope) { e.Signatures[0].KeyID, e.PublicKey = "", "" }), nil, ""},
		{"with a second signature", envelopeOf(func(e *envelope) { e.Signatures = append([]signature{{"zz", "AAAA"}}, e.Signatures...) }), nil, ""},
		{"URL-safe base64", envelopeOf(func(e *envelope) {
			sig, err := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
			if err != nil {
				t.Fatal(err)
			}
			e.Signatures[0].Sig = base64.URLEncoding.EncodeToString(sig)
		}), nil, ""},
		{"another key", other, ErrSignature, `signed by key "6a3803d5f059902a", expected 34750f98bd59fcfc`},
		{"another type", envelopeOf(func(e *envelope) { e.PayloadType = "x/z" }), ErrSignature, "changed after signing"},
		{"another payload", envelopeOf(func(e *envelope) { e.Payload = "e30=" }), ErrSignature, "changed after signing"},
		{"a cut signature", envelopeOf(func(e *envelope) { e.Signatures[0].Sig = "AAAA" }), ErrSignature, "changed after signing"},
		{"no signature", envelopeOf(func(e *envelope) { e.Signatures = nil }), ErrEnvelope, "signatures is empty"},
		{"too many", envelopeOf(func(e *envelope) { e.Signatures = make([]signature, 17) }), ErrEnvelope, "17 signatures"},
		{"no type", envelopeOf(func(e *envelope) { e.PayloadType = "" }), ErrEnvelope, "payloadType is missing"},
		{"no base64", envelopeOf(func(e *envelope) { e.Payload = "!" }), ErrEnvelope, "payload is no base64"},
		{"no JSON", []byte("hello"), ErrEnvelope, "expected JSON"},
		{"two envelopes", append(bytes.Clone(other), other...), ErrEnvelope, "expected JSON"},
		{"too long", make([]byte, MaxEnvelope+1), ErrEnvelope, "at most"},
	} {
		typ, got, err := Verify(public(key(1)), c.text)
		switch {
		case c.want == nil:
			if err != nil || typ != "x/y" || !bytes.Equal(got, payload) {
				t.Errorf("%s: %q %q %v", c.name, typ, got, err)
			}
		case !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) || typ != "" || got != nil:
			t.Errorf("%s: %q %q %v", c.name, typ, got, err)
		}
	}
	if _, err := EmbeddedKey(envelopeOf(func(e *envelope) { e.PublicKey = "" })); !errors.Is(err, ErrEnvelope) {
		t.Error(err)
	}
	if _, err := EmbeddedKey(envelopeOf(func(e *envelope) { e.PublicKey = "AAAA" })); !errors.Is(err, ErrEnvelope) {
		t.Error(err)
	}
	if _, _, err := Verify(nil, other); err == nil {
		t.Error("a public key of no bytes verifies")
	}
	if _, err := Sign(nil, "x/y", nil); err == nil {
		t.Error("a private key of no bytes signs")
	}
}

func TestErasureIsStrict(t *testing.T) {
	for name, change := range map[string]func(*Erasure){
		"receipt is":     func(e *Erasure) { e.Receipt = "reuna erasure 2" },
		"id is empty":    func(e *Erasure) { e.ID = "" },
		"install is":     func(e *Erasure) { e.Install = "34750F98BD59FCFC" },
		"origin is":      func(e *Erasure) { e.Origin = "" },
		"seq is 0":       func(e *Erasure) { e.Seq = 0 },
		"view is":        func(e *Erasure) { e.View = "some" },
		"decided is":     func(e *Erasure) { e.Decided = time.Time{} },
		"identifiers[1]": func(e *Erasure) { e.Identifiers[1] = "ann@example.com" },
		"a count is -1":  func(e *Erasure) { e.Tombstones = -1 },
	} {
		e := sample()
		change(&e)
		if _, err := SignErasure(key(1), e); !errors.Is(err, ErrReceipt) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good, err := json.Marshal(func() Erasure {
		e := sample()
		e.Receipt, e.Install, e.Completed = ErasureKind, KeyID(public(key(1))), e.Completed.UTC()
		return e
	}())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseErasure(good); err != nil {
		t.Fatal(err)
	}
	for name, pair := range map[string][2]string{
		"a missing field":  {`"sessions":1,`, ``},
		"an unknown field": {`"sessions":1,`, `"sessions":1,"email":"a",`},
		"a field twice":    {`"sessions":1,`, `"sessions":1,"sessions":1,`},
		"another case":     {`"sessions":1,`, `"Sessions":1,`},
		"no list":          {`["` + strings.Repeat("ab", 16) + `","` + strings.Repeat("01", 16) + `"]`, `null`},
		"local time":       {`"2026-03-01T09:00:00Z"`, `"2026-03-01T10:00:00+01:00"`},
		"a fraction":       {`"sessions":1,`, `"sessions":1.5,`},
		"more behind it":   {`"}`, `"} {}`},
	} {
		text := strings.Replace(string(good), pair[0], pair[1], 1)
		if text == string(good) {
			t.Fatalf("%s: nothing changed in %s", name, good)
		}
		if _, err := ParseErasure([]byte(text)); !errors.Is(err, ErrReceipt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A payload of another type, or another install's, is none either.
	text, err := Sign(key(1), "application/json", good)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyErasure(public(key(1)), text); !errors.Is(err, ErrReceipt) {
		t.Error(err)
	}
	if text, err = Sign(key(2), ErasureType, good); err != nil {
		t.Fatal(err)
	}
	if _, err := VerifyErasure(public(key(2)), text); !errors.Is(err, ErrReceipt) {
		t.Error(err)
	}
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(golden))
	f.Add([]byte(`{"payloadType":"a","payload":"","signatures":[{"sig":""}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		typ, payload, err := Verify(public(key(1)), text)
		if err == nil {
			// Nobody has key 1 but these tests: only what they signed may pass.
			if _, want, err := Verify(public(key(1)), []byte(golden)); err != nil || typ != ErasureType || !bytes.Equal(payload, want) {
				t.Errorf("forged: %q %q", typ, payload)
			}
		}
		if k, err := EmbeddedKey(text); err == nil && len(k) != ed25519.PublicKeySize {
			t.Errorf("a key of %d bytes", len(k))
		}
	})
}

func FuzzParseErasure(f *testing.F) {
	_, payload, err := Verify(public(key(1)), []byte(golden))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(payload)
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := ParseErasure(text)
		if err != nil {
			return
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := ParseErasure(again); err != nil || !reflect.DeepEqual(back, e) {
			t.Errorf("%+v came back as %+v, %v", e, back, err)
		}
	})
}
