package main

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/reuna/reuna/identity/event"
)

// A learned dictionary must not tell what fewer than 25 visitors said.
func TestLearnKeepsNoRareWords(t *testing.T) {
	var entries []entry
	for owner := range 60 {
		text := `{"plan":"everybody has this one"`
		if owner < 24 {
			text += `,"club":"two dozen have this one"`
		}
		text += fmt.Sprintf(`,"name":"only %d has it","again":"only %d has it"}`, owner, owner)
		for range 30 { // saying it often does not make it common
			entries = append(entries, entry{owner: owner, bytes: []byte(text)})
		}
	}
	got := learn(entries, 1<<20)
	if !bytes.Contains(got, []byte("everybody has this one")) {
		t.Errorf("what everybody said is missing: %q", got)
	}
	for _, rare := range []string{"two dozen", "only"} {
		if bytes.Contains(got, []byte(rare)) {
			t.Errorf("%q is in the dictionary: %q", rare, got)
		}
	}
}

// The layouts are compared on the same events: none is lost on the way.
func TestEveryEventIsMeasured(t *testing.T) {
	for _, site := range traffics() {
		entries, err := site.population(20, 7, 3)
		if err != nil {
			t.Fatal(err)
		}
		plains, _, err := chunks(entries)
		if err != nil || len(entries) != 140 || len(plains) != 20 {
			t.Fatalf("%s: %d events, %d chunks, %v", site.name, len(entries), len(plains), err)
		}
		for _, e := range entries {
			old, err := version1(e.bytes)
			if err != nil || len(old) <= len(e.bytes) {
				t.Errorf("%s: a record of %d bytes was one of %d, %v", site.name, len(e.bytes), len(old), err)
			}
			var now, then event.Event
			if err := event.Decode(&now, string(e.bytes[2:])); err != nil {
				t.Fatal(err)
			}
			d := &now.Device
			d.Language, d.Timezone, d.Screen, now.Bot.Operator = "", "", "", "" // version 1 knew none of them
			if err := event.Decode(&then, string(old[2:])); err != nil || now != then {
				t.Errorf("%s: version 1 says %+v, %v\ntoday's %+v", site.name, then, err, now)
			}
		}
	}
}
