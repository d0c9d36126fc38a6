package config

import "strings"

// nearest is the name that was probably meant by word: the same when case,
// dashes and underscores are left aside, or at most a third of it mistyped.
// "" when no name is that near.
func nearest(word string, names []string) string {
	bare := bareName(word)
	best, fewest := "", max(1, len(bare)/3)+1
	for _, name := range names {
		if n := distance(bare, bareName(name)); n < fewest {
			best, fewest = name, n
		}
	}
	return best
}

func bareName(s string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(s))
}

// distance is how many letters must be put in, left out, changed or swapped
// with their neighbour to turn a into b (optimal string alignment).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return len(a) + len(b) // no key is that long; do not spend a square on it
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			n := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				n = min(n, rows[i-2][j-2]+1)
			}
			rows[i][j] = n
		}
	}
	return rows[len(a)][len(b)]
}
