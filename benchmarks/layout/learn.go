package main

import (
	"bytes"
	"hash/maphash"
	"sort"
)

// learn makes a dictionary from a site's own events. What one visitor alone
// said must not be in it, so it holds only runs of words that at least 25
// owners have used, most useful last.
func learn(entries []entry, size int) []byte {
	const owners, longest = 25, 24
	seed := maphash.MakeSeed()
	sorted := append([]entry(nil), entries...)
	sort.SliceStable(sorted, func(i, j int) bool { return sorted[i].owner < sorted[j].owner })
	type run struct {
		owners, uses, last int
		text               []byte
	}
	runs := map[uint64]*run{}
	for _, e := range sorted {
		cuts := cutWords(e.bytes)
		for i := range cuts[:len(cuts)-1] {
			for n := 1; n <= longest && i+n < len(cuts); n++ {
				text := e.bytes[cuts[i]:cuts[i+n]]
				h := maphash.Bytes(seed, text)
				r := runs[h]
				if r == nil {
					r = &run{text: text, last: -1}
					runs[h] = r
				}
				if r.uses++; r.last != e.owner {
					r.last, r.owners = e.owner, r.owners+1
				}
			}
		}
	}
	var known []*run
	for _, r := range runs {
		if r.owners >= owners && len(r.text) >= 5 {
			known = append(known, r)
		}
	}
	gain := func(r *run) int { return r.uses * (len(r.text) - 4) }
	sort.Slice(known, func(i, j int) bool {
		if a, b := gain(known[i]), gain(known[j]); a != b {
			return a > b
		}
		return bytes.Compare(known[i].text, known[j].text) < 0
	})
	var chosen [][]byte
	have := []byte{}
	for _, r := range known {
		if len(have)+len(r.text) > size {
			break
		}
		if !bytes.Contains(have, r.text) {
			have = append(have, r.text...)
			chosen = append(chosen, r.text)
		}
	}
	var out []byte
	for i := len(chosen) - 1; i >= 0; i-- {
		out = append(out, chosen[i]...)
	}
	return out
}

// cutWords gives where words begin: at quotes, commas, slashes and control bytes.
func cutWords(b []byte) []int {
	cuts := []int{0}
	for i := 1; i < len(b); i++ {
		if c := b[i]; c < ' ' || c == '"' || c == '/' || c == ',' || c == '-' || c == '?' {
			cuts = append(cuts, i)
		}
	}
	return append(cuts, len(b))
}
