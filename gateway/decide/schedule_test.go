package decide

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/reuna/reuna/identity/trait/rule"
)

func scheduled(t testing.TB, s Schedule) *schedule {
	t.Helper()
	var c compiler
	x := c.schedule("v", &s)
	if len(c.faults) > 0 {
		t.Fatal(c.faults)
	}
	return x
}

func when(t testing.TB, text string) time.Time {
	t.Helper()
	x, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestSchedule: open or not, and until when, at the moments around each change.
func TestSchedule(t *testing.T) {
	const never = "never"
	spring := Schedule{From: when(t, "2026-03-20T00:00:00Z"), Until: when(t, "2026-03-27T00:00:00Z")}
	office := Schedule{Days: []string{"mon", "tue", "wed", "thu", "fri"}, Hours: "09:00-17:30", Timezone: "Europe/Helsinki"}
	night := Schedule{Days: []string{"fri"}, Hours: "22:00-02:00"}
	weekend := Schedule{Days: []string{"sat", "sun"}}
	both := office
	both.From, both.Until = when(t, "2026-03-24T10:00:00Z"), when(t, "2026-03-25T08:00:00Z")
	for _, c := range []struct {
		what  string
		s     Schedule
		at    string
		open  bool
		until string
	}{
		{"before", spring, "2026-03-19T23:59:59Z", false, "2026-03-20T00:00:00Z"},
		{"from", spring, "2026-03-20T00:00:00Z", true, "2026-03-27T00:00:00Z"},
		{"until", spring, "2026-03-27T00:00:00Z", false, never},
		{"no end", Schedule{From: spring.From}, "2030-01-01T00:00:00Z", true, never},
		{"no begin", Schedule{Until: spring.Until}, "2020-01-01T00:00:00Z", true, "2026-03-27T00:00:00Z"},
		{"in the office", office, "2026-03-25T12:00:00Z", true, "2026-03-25T15:30:00Z"},
		{"on its way home", office, "2026-03-25T15:30:00Z", false, "2026-03-26T07:00:00Z"},
		{"on Friday evening, with the clocks put forward on Sunday", office, "2026-03-27T16:00:00Z", false, "2026-03-30T06:00:00Z"},
		{"Friday night", night, "2026-03-27T22:00:00Z", true, "2026-03-28T02:00:00Z"},
		{"the morning after", night, "2026-03-28T01:59:59Z", true, "2026-03-28T02:00:00Z"},
		{"Saturday night", night, "2026-03-28T23:00:00Z", false, "2026-04-03T22:00:00Z"},
		{"a weekend is one", weekend, "2026-03-28T03:00:00Z", true, "2026-03-30T00:00:00Z"},
		{"the week", weekend, "2026-03-30T00:00:00Z", false, "2026-04-04T00:00:00Z"},
		{"cut by its begin", both, "2026-03-24T09:00:00Z", false, "2026-03-24T10:00:00Z"},
		{"cut by its end", both, "2026-03-25T07:30:00Z", true, "2026-03-25T08:00:00Z"},
		{"all day", Schedule{Hours: "00:00-24:00", Until: spring.Until}, "2026-03-26T07:30:00Z", true, "2026-03-27T00:00:00Z"},
	} {
		s := scheduled(t, c.s)
		at := when(t, c.at).UnixMilli()
		open, until := s.at(at)
		text := never
		if until != forever {
			text = time.UnixMilli(until).UTC().Format(time.RFC3339)
		}
		if open != c.open || text != c.until {
			t.Errorf("%s: open %v until %s, want %v until %s", c.what, open, text, c.open, c.until)
		}
		if again, _ := s.at(at); again != open {
			t.Errorf("%s: two answers", c.what)
		}
		if until != forever {
			if before, _ := s.at(until - 1); before != open {
				t.Errorf("%s: changed before its time", c.what)
			}
			if then, _ := s.at(until); then == open {
				t.Errorf("%s: not changed at its time", c.what)
			}
		}
	}
}

// TestScheduleByTheMinute compares with asking for each minute by itself, over
// random schedules and both changes of the clocks.
func TestScheduleByTheMinute(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 7))
	zones := []string{"UTC", "Europe/Helsinki", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"}
	clock := func(m int) string {
		return time.Date(2026, 1, 1, 0, m, 0, 0, time.UTC).Format("15:04")
	}
	for range 150 {
		c := Schedule{Timezone: zones[r.IntN(len(zones))]}
		begin, end := r.IntN(minutesOfDay), r.IntN(minutesOfDay)
		c.Hours = clock(begin) + "-" + clock(end)
		days := map[time.Weekday]bool{}
		for i, d := range weekdays() {
			if r.IntN(2) == 0 {
				c.Days = append(c.Days, d)
				days[time.Weekday((i+1)%7)] = true
			}
		}
		s, fresh := scheduled(t, c), scheduled(t, c)
		zone, err := time.LoadLocation(c.Timezone)
		if err != nil {
			t.Fatal(err)
		}
		at := time.Date(2026, []time.Month{3, 10, 4, 6}[r.IntN(4)], 1+r.IntN(28), r.IntN(24), r.IntN(60), 0, 0, time.UTC)
		for range 600 {
			at = at.Add(time.Duration(1+r.IntN(90)) * time.Minute)
			l := at.In(zone)
			m := l.Hour()*60 + l.Minute()
			on := func(d time.Weekday) bool { return len(c.Days) == 0 || days[d] }
			want := begin < end && on(l.Weekday()) && begin <= m && m < end ||
				begin >= end && (on(l.Weekday()) && m >= begin || on((l.Weekday()+6)%7) && m < end)
			_, offset := l.Zone()
			_, before := at.Add(-26 * time.Hour).In(zone).Zone()
			_, after := at.Add(26 * time.Hour).In(zone).Zone()
			if offset != before || offset != after {
				continue // around a change of the clocks a minute may be there twice, or not at all
			}
			got, until := s.at(at.UnixMilli())
			if got != want {
				t.Fatalf("%+v at %v: %v, want %v", c, l, got, want)
			}
			fresh.last.Store(nil)
			if again, u := fresh.at(at.UnixMilli()); again != got || u != until {
				t.Fatalf("%+v at %v: remembered %v until %d, anew %v until %d", c, l, got, until, again, u)
			}
		}
	}
}

func TestScheduleFaults(t *testing.T) {
	for _, c := range []struct {
		s          Schedule
		path, says string
	}{
		{Schedule{From: when(t, "2026-03-20T00:00:00Z"), Until: when(t, "2026-03-20T00:00:00Z")}, "until", "a time after"},
		{Schedule{Days: []string{"mon", "Monday"}}, "days[1]", "mon, tue"},
		{Schedule{Hours: "9-17"}, "hours", "09:00-17:30"},
		{Schedule{Hours: "09:00"}, "hours", "09:00-17:30"},
		{Schedule{Hours: "09:60-10:00"}, "hours", "09:00-17:30"},
		{Schedule{Hours: "24:00-25:00"}, "hours", "09:00-17:30"},
		{Schedule{Hours: "09:00-17:30", Timezone: "Helsinki"}, "timezone", "Europe/Helsinki"},
		{Schedule{Hours: "09:00-17:30", Timezone: "Local"}, "timezone", "Europe/Helsinki"},
		{Schedule{Timezone: "UTC"}, "timezone", "there are none"},
	} {
		_, err := New(Options{Placements: []Placement{{Name: "p", Variants: []Variant{{Name: "a", Schedule: c.s}}}}})
		var faults rule.Faults
		if !errors.As(err, &faults) || len(faults) != 1 || faults[0].Path != "placements[0].variants[0]."+c.path || !strings.Contains(faults[0].Message, c.says) {
			t.Errorf("%+v: %v, want %s: %s", c.s, err, c.path, c.says)
		}
	}
}

// FuzzHours: what is read as hours is within two days.
func FuzzHours(f *testing.F) {
	f.Add("09:00-17:30")
	f.Add("22:00 - 02:00")
	f.Add(strings.Repeat("-", 1<<20))
	f.Fuzz(func(t *testing.T, text string) {
		if begin, end, ok := hours(text); ok && (begin < 0 || begin >= minutesOfDay || end <= begin || end > begin+minutesOfDay) {
			t.Errorf("%q: %d to %d", text, begin, end)
		}
	})
}
