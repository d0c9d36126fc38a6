package rule

import "unicode/utf8"

// Nearest is which of known somebody who wrote word probably meant: the one
// that the fewest slips of a key lead to, no more than one for each three
// letters, and three in words of eight and more. "" when none is that near. Case
// and the lines between words are no slips.
func Nearest(word string, known []string) string {
	n := utf8.RuneCountInString(word)
	best, least := "", n/3+1
	if n >= 8 {
		least = 4
	}
	for _, k := range known {
		if k == word || len(k) > 4*nearestMost || len(word) > 4*nearestMost {
			continue
		}
		if n := slips(word, k, least); n < least {
			best, least = k, n
		}
	}
	return best
}

// nearestMost is the length of a word in letters above which nothing is near.
const nearestMost = 64

// slips counts letters left out, put in, changed, or swapped with the next one
// (the optimal string alignment distance), stopping at most.
func slips(a, b string, most int) int {
	x, y := folded(a), folded(b)
	if d := len(x) - len(y); d >= most || -d >= most {
		return most
	}
	var rows [3][4*nearestMost + 1]int
	before, above, row := &rows[0], &rows[1], &rows[2]
	for j := range len(y) + 1 {
		above[j] = j
	}
	for i := 1; i <= len(x); i++ {
		row[0] = i
		for j := 1; j <= len(y); j++ {
			n := above[j-1]
			if x[i-1] != y[j-1] {
				n++
			}
			n = min(n, above[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				n = min(n, before[j-2]+1)
			}
			row[j] = n
		}
		before, above, row = above, row, before
	}
	return above[len(y)]
}

// folded takes case and the line between words away.
func folded(s string) []rune {
	list := make([]rune, 0, len(s))
	for _, r := range s {
		switch {
		case r == '_' || r == '-' || r == ' ':
			continue
		case r >= 'A' && r <= 'Z':
			r += 'a' - 'A'
		}
		list = append(list, r)
	}
	return list
}
