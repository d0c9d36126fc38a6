package main

import (
	"fmt"
	"strconv"
)

// size is bytes in decimal units, with three figures.
func size(n uint64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n), ""
	for _, unit = range []string{"kB", "MB", "GB", "TB"} {
		if v /= 1000; v < 999.5 {
			break
		}
	}
	switch {
	case v < 9.995:
		return fmt.Sprintf("%.2f %s", v, unit)
	case v < 99.95:
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

// number is n with its thousands apart.
func number(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// count is a number of things.
func count(n uint64, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return number(n) + " " + thing + "s"
}

// each is the bytes of one of n.
func each(bytes, n uint64) string {
	if n == 0 {
		return "-"
	}
	if v := float64(bytes) / float64(n); v < 99.95 {
		return fmt.Sprintf("%.1f B", v)
	}
	return size((bytes + n/2) / n)
}

func percent(n, of uint64) float64 { return 100 * float64(n) / float64(max(of, 1)) }

// ratio is how much shorter something became.
func ratio(before, after uint64) string {
	if after == 0 {
		return ""
	}
	return fmt.Sprintf("1 : %.1f", float64(before)/float64(after))
}
