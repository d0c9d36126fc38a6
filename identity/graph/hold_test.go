package graph

import (
	"encoding/hex"
	"testing"

	"github.com/reuna/reuna/identity/id"
)

// The ids of holds are on disks: whoever changes how they are made must go on
// knowing these. They are from Python's hashlib.
func TestHoldIDsStay(t *testing.T) {
	for _, c := range []struct {
		why  HoldReason
		t    id.Trust
		want string
	}{
		{HoldLinks, id.Claimed, "f175baa88fac41872b32bc9cc6bc34d6"},
		{HoldLinks, id.Verified, "6fd6345362ec9ef94f670513b24e7588"},
		{HoldAddresses, id.Claimed, "a6c915c30ee2c78a5737d3f5f6c8a3fc"},
	} {
		e := HoldOf(deviceOne, c.why, c.t, 5)
		if got := hex.EncodeToString(e.ID[:]); got != c.want {
			t.Errorf("%s, %v: %s, want %s", c.why, c.t, got, c.want)
		}
		if f := HoldOf(deviceOne, c.why, c.t, 6); f.ID != e.ID {
			t.Errorf("%s: the id depends on the time", c.why)
		}
		if f := HoldOf(userOne, c.why, c.t, 5); f.ID == e.ID {
			t.Errorf("%s: two identifiers, one id", c.why)
		}
	}
}

// What stands on an identifier, why, and whether the gateway may hold it again.
func TestHolds(t *testing.T) {
	operators := Evidence{ID: EvidenceID{9}, Kind: Cut, A: deviceOne, B: Everybody(), Trust: id.Admin, Time: 70}
	lift := func(e Evidence, t id.Trust) Evidence {
		return Evidence{ID: EvidenceID{1}, Kind: Lift, A: e.A, B: e.B, Trust: t, Lifts: e.ID, Time: 90}
	}
	links := func(t id.Trust) Evidence { return HoldOf(deviceOne, HoldLinks, t, 50) }
	addresses := HoldOf(deviceOne, HoldAddresses, id.Claimed, 60)
	for name, c := range map[string]struct {
		log           []Evidence
		verified, all HoldReason // "" for none
		may           [2]bool    // hold it for claims, for verified links
	}{
		"nothing":             {nil, "", "", [2]bool{true, true}},
		"claims":              {[]Evidence{links(id.Claimed)}, "", HoldLinks, [2]bool{false, true}},
		"addresses":           {[]Evidence{addresses}, "", HoldAddresses, [2]bool{false, true}},
		"links":               {[]Evidence{links(id.Verified)}, HoldLinks, HoldLinks, [2]bool{}},
		"operator":            {[]Evidence{operators, addresses}, HoldOperator, HoldOperator, [2]bool{}},
		"the earlier of two":  {[]Evidence{addresses, links(id.Claimed)}, "", HoldLinks, [2]bool{false, true}},
		"claims released":     {[]Evidence{links(id.Claimed), lift(links(id.Claimed), id.Admin)}, "", "", [2]bool{false, true}},
		"stated again":        {[]Evidence{links(id.Claimed), lift(links(id.Claimed), id.Admin), links(id.Claimed)}, "", "", [2]bool{false, true}},
		"one of two released": {[]Evidence{links(id.Claimed), addresses, lift(links(id.Claimed), id.Admin)}, "", HoldAddresses, [2]bool{false, true}},
		"operator released":   {[]Evidence{operators, lift(operators, id.Admin)}, "", "", [2]bool{}},
		"released too weakly": {[]Evidence{operators, lift(operators, id.Verified)}, HoldOperator, HoldOperator, [2]bool{}},
		"lift before its cut": {[]Evidence{lift(links(id.Claimed), id.Admin)}, "", "", [2]bool{}},
	} {
		set := NewSet()
		set.Add(linkAt(userOne, deviceOne, 1))
		for _, e := range c.log {
			set.Add(e)
		}
		pairs, _ := set.Pairs(deviceOne)
		for v, want := range map[id.View]HoldReason{id.VerifiedView: c.verified, id.AllView: c.all} {
			h, held := HoldOn(deviceOne, pairs, v)
			if h.Why != want || held != (want != "") || held && (h.ID != deviceOne || h.Since < 50) {
				t.Errorf("%s, %v view: %+v, want %q", name, v, h, want)
			}
			if held && h.Why.Text() == "" {
				t.Errorf("%q has no words", h.Why)
			}
		}
		for i, trust := range [...]id.Trust{id.Claimed, id.Verified} {
			if got := MayHold(pairs, trust); got != c.may[i] {
				t.Errorf("%s: the gateway may hold at %v: %v", name, trust, got)
			}
		}
	}
}

// Nobody is linked to everybody.
func TestEverybodyIsNobodysNeighbour(t *testing.T) {
	set := NewSet()
	if c := set.Add(linkAt(deviceOne, Everybody(), 1)); c.Changed() {
		t.Error("a link to everybody counts")
	}
	set.Add(HoldOf(deviceOne, HoldLinks, id.Verified, 1))
	if list := set.Identifiers(); len(list) != 1 || list[0] != deviceOne {
		t.Errorf("identifiers %v", list)
	}
	forged := NewPair(deviceOne, Everybody())
	forged.addSpan(1, span{Stamp{Time: 1}, Stamp{Time: 1}})
	if _, err := DecodePair(forged.AppendBinary(nil)); err == nil {
		t.Error("a stored link to everybody is read")
	}
}
