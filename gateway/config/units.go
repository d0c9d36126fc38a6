package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes. In a file: 500KiB, 2MiB, 1GB or plain bytes.
type Size int64

const (
	KiB Size = 1 << 10
	MiB Size = 1 << 20
	GiB Size = 1 << 30
)

func (s Size) String() string {
	switch {
	case s >= GiB && s%GiB == 0:
		return strconv.FormatInt(int64(s/GiB), 10) + "GiB"
	case s >= MiB && s%MiB == 0:
		return strconv.FormatInt(int64(s/MiB), 10) + "MiB"
	case s >= KiB && s%KiB == 0:
		return strconv.FormatInt(int64(s/KiB), 10) + "KiB"
	}
	return strconv.FormatInt(int64(s), 10) + "B"
}

// sizeUnit is what a size's unit counts, in bytes; 0 for no unit.
func sizeUnit(unit string) int64 {
	switch strings.ToLower(unit) {
	case "", "b":
		return 1
	case "kib":
		return 1 << 10
	case "mib":
		return 1 << 20
	case "gib":
		return 1 << 30
	case "kb":
		return 1000
	case "mb":
		return 1000 * 1000
	case "gb":
		return 1000 * 1000 * 1000
	}
	return 0
}

// ParseSize reads a size: a whole number with or without one of B, KiB, MiB,
// GiB, kB, MB, GB.
func ParseSize(s string) (Size, error) {
	text := strings.TrimSpace(s)
	end := digits(text)
	unit := sizeUnit(strings.TrimSpace(text[end:]))
	n, err := strconv.ParseInt(text[:end], 10, 64)
	if end == 0 || unit == 0 || err != nil || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("saw %s, expected a size such as 500KiB, 2MiB or a number of bytes", quoted(s))
	}
	return Size(n * unit), nil
}

// Share is a part of a whole, from 0 to 1. In a file: 10%, or 0.
type Share float64

// String is the shortest percentage that ParseShare reads as s, as long as s
// came from one.
func (s Share) String() string {
	for digits := range 18 {
		text := strconv.FormatFloat(float64(s)*100, 'f', digits, 64) + "%"
		if read, err := ParseShare(text); err == nil && read == s {
			return text
		}
	}
	return strconv.FormatFloat(float64(s)*100, 'f', -1, 64) + "%"
}

// ParseShare reads a percentage from 0% to 100%; the sign may be left out of a 0 only.
func ParseShare(s string) (Share, error) {
	text := strings.TrimSpace(s)
	number, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || !percent && n != 0 || !(n >= 0 && n <= 100) {
		return 0, fmt.Errorf("saw %s, expected a percentage from 0%% to 100%%, such as 10%%", quoted(s))
	}
	return Share(n / 100), nil
}

// durationUnit is how long a unit is; 0 for no unit. A month is a twelfth of
// 365.25 days: these are limits, and no limit needs a calendar.
func durationUnit(unit string) time.Duration {
	switch strings.ToLower(unit) {
	case "ms":
		return time.Millisecond
	case "s", "sec", "second", "seconds":
		return time.Second
	case "m", "min", "minute", "minutes":
		return time.Minute
	case "h", "hour", "hours":
		return time.Hour
	case "d", "day", "days":
		return day
	case "w", "week", "weeks":
		return 7 * day
	case "month", "months":
		return month
	case "year", "years":
		return 12 * month
	}
	return 0
}

var errDuration = errors.New("expected a duration such as 90s, 24h, 30d or 25 months")

// ParseDuration reads a duration: one or more whole numbers with their units
// (ms, s, m, h, d, w, months, years and the long names), such as 90s, 1h30m or
// 25 months; and a bare 0.
func ParseDuration(s string) (time.Duration, error) {
	fault := fmt.Errorf("saw %s, %w", quoted(s), errDuration)
	text := strings.TrimSpace(s)
	if text == "0" {
		return 0, nil
	}
	if text == "" {
		return 0, fault
	}
	var sum time.Duration
	for text != "" {
		end := digits(text)
		n, err := strconv.ParseInt(text[:end], 10, 64)
		if end == 0 || err != nil {
			return 0, fault
		}
		text = strings.TrimLeft(text[end:], " ")
		end = 0
		for end < len(text) && (text[end]|0x20 >= 'a' && text[end]|0x20 <= 'z') {
			end++
		}
		unit := durationUnit(text[:end])
		if unit == 0 || n > int64((math.MaxInt64-sum)/unit) {
			return 0, fault
		}
		sum += time.Duration(n) * unit
		text = strings.TrimLeft(text[end:], " ")
	}
	return sum, nil
}

// parseTime reads a moment: a date, a time of day and where it is that time
// (RFC 3339).
func parseTime(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, strings.TrimSpace(s))
	if err != nil || t.Year() < 1971 {
		return time.Time{}, fmt.Errorf("saw %s, expected a time with its offset from UTC, such as 2026-11-27T09:00:00+02:00 or 2026-11-27T07:00:00Z", quoted(s))
	}
	return t, nil
}

// digits is how many bytes of s are a run of digits at its start.
func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// FormatDuration writes d so that ParseDuration reads it back, in the largest
// unit that is whole.
func FormatDuration(d time.Duration) string {
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}, {time.Second, "s"}, {time.Millisecond, "ms"}} {
		if d%u.unit == 0 {
			if d == 0 {
				return "0"
			}
			return strconv.FormatInt(int64(d/u.unit), 10) + u.name
		}
	}
	return d.String()
}
