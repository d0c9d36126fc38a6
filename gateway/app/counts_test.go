package app

import (
	"errors"
	"testing"
	"time"
)

// TestALargeAudienceIsCountedSeldom counts with a clock that a count moves on.
func TestALargeAudienceIsCountedSeldom(t *testing.T) {
	at, asked, failing := time.Unix(1_800_000_000, 0), 0, error(nil)
	now := func() time.Time { return at }
	count := func(uint32) (int64, error) {
		asked++
		at = at.Add(100 * time.Millisecond)
		return int64(asked), failing
	}
	var c counts
	for i, x := range []struct {
		id    uint32
		state string
		later time.Duration
		want  int64
	}{
		{id: 7, state: "running", want: 1},
		{id: 7, state: "running", later: 4 * time.Second, want: 1},
		{id: 8, state: "running", want: 2}, // another one
		{id: 7, state: "done", want: 3},    // it has come to something
		{id: 7, state: "done", later: 4900 * time.Millisecond, want: 3},
		{id: 7, state: "done", later: 200 * time.Millisecond, want: 4},
	} {
		at = at.Add(x.later)
		if n, err := c.of(x.id, x.state, now, count); n != x.want || err != nil {
			t.Fatalf("%d: counted %d, %v; expected %d", i, n, err, x.want)
		}
	}
	at = at.Add(time.Minute)
	failing = errors.New("no disk")
	if _, err := c.of(8, "done", now, count); !errors.Is(err, failing) {
		t.Fatalf("the error was %v", err)
	}
	failing = nil
	if n, err := c.of(8, "done", now, count); n != 6 || err != nil || len(c.list) != 1 {
		t.Fatalf("after an error: %d, %v; kept are %v", n, err, c.list)
	}
}
