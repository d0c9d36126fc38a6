// Package match finds many literals in a text in one pass.
package match

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Set is an Aho-Corasick automaton (Aho and Corasick, "Efficient string
// matching", CACM 18, 1975) whose failure links were followed when it was made:
// a dense table of states over classes of bytes, one lookup a byte whatever
// the text. Bytes that no literal holds share class 0.
//
// Invariants: a Set is never changed after New, so that any number of
// goroutines may use it. The states in which a literal ends have the highest
// numbers, so that one comparison a byte tells them; within both halves the
// numbers follow the distance from the root, so that the states where texts
// spend their time share cache lines. A map or a binary search for each state
// would be a tenth of the memory and five times as slow.
type Set struct {
	class  [256]uint8
	narrow []uint16 // state<<shift + class -> state, while states fit
	wide   []uint32 // the same where there are more than 65,536 states; one of both is nil
	shift  uint8
	ends   uint32 // the lowest state in which a literal ends

	// first[state-ends] is the longest literal that ends in a state, and
	// next[literal] the next longest that ends where literal does; -1 is none.
	first, next []int32
}

// Hit is one occurrence: literal number Literal of those given to New ends
// before byte End of the text.
type Hit struct{ Literal, End int32 }

// maxTable bounds the table of states, in bytes. The 1,500 literals of robots
// take 1.6 MB; what needs forty times as much is no list that a person wrote.
const maxTable = 64 << 20

// New makes a Set of literals, which are matched byte for byte. None may be
// empty; one that stands twice is found twice.
func New(literals []string) (*Set, error) { return build(literals, func(c byte) byte { return c }) }

// NewFolded makes a Set that matches without regard to the case of ASCII
// letters, at no cost when it is used.
func NewFolded(literals []string) (*Set, error) {
	return build(literals, func(c byte) byte {
		if c >= 'A' && c <= 'Z' {
			return c | 0x20
		}
		return c
	})
}

// Find appends every occurrence of every literal in text to dst, which may be
// nil: in the order in which they end, and of those that end together the
// longest first, equal ones in the order given to New. It takes time in proportion to the text and to the hits, and
// allocates only to grow dst. text must be shorter than 2 GiB.
func (s *Set) Find(text string, dst []Hit) []Hit {
	if s.wide != nil {
		return find(s, s.wide, text, dst)
	}
	return find(s, s.narrow, text, dst)
}

// Size is the memory that the Set takes, in bytes.
func (s *Set) Size() int {
	return len(s.class) + 2*len(s.narrow) + 4*len(s.wide) + 4*len(s.first) + 4*len(s.next)
}

func find[S uint16 | uint32](s *Set, table []S, text string, dst []Hit) []Hit {
	shift, ends, state := s.shift&31, s.ends, uint32(0)
	for i := 0; i < len(text); i++ {
		state = uint32(table[state<<shift|uint32(s.class[text[i]])])
		if state < ends {
			continue
		}
		for l := s.first[state-ends]; l >= 0; l = s.next[l] {
			dst = append(dst, Hit{Literal: l, End: int32(i) + 1})
		}
	}
	return dst
}

// node is a state while the Set is made.
type node struct {
	literal int32 // the longest literal that ends here; -1 is none
	fail    uint32
	number  uint32
}

func build(literals []string, fold func(byte) byte) (*Set, error) {
	s := &Set{next: make([]int32, len(literals))}
	classes, err := s.classify(literals, fold)
	if err != nil {
		return nil, err
	}
	s.shift = uint8(bits.Len(uint(classes - 1)))

	// The trie: row state<<shift holds a state's children; 0 is none, because
	// no child is the root.
	width, letters := 1<<s.shift, 1
	for _, text := range literals {
		letters += len(text)
	}
	trie := make([]uint32, width, min(letters*width, maxTable/4))
	nodes := append(make([]node, 0, cap(trie)/width), node{literal: -1})
	for l, text := range slices.Backward(literals) { // so that of equal ones the first is found first
		at := uint32(0)
		for i := 0; i < len(text); i++ {
			cell := at<<s.shift | uint32(s.class[text[i]])
			if trie[cell] == 0 {
				if len(trie)+width > maxTable/4 {
					return nil, fmt.Errorf("match: %d literals need more than %d bytes for their table: give fewer or shorter ones", len(literals), maxTable)
				}
				trie[cell] = uint32(len(nodes))
				nodes = append(nodes, node{literal: -1})
				trie = trie[:len(trie)+width] // was made of zeros
			}
			at = trie[cell]
		}
		s.next[l], nodes[at].literal = nodes[at].literal, int32(l)
	}
	s.link(nodes, trie, width)
	s.number(nodes, trie, width)
	return s, nil
}

// classify gives every byte that a literal holds a class of its own, or that
// of its fold, and says how many classes there are.
func (s *Set) classify(literals []string, fold func(byte) byte) (int, error) {
	var used [256]bool
	for l, text := range literals {
		if text == "" {
			return 0, fmt.Errorf("match: literal %d is empty: it would be found everywhere", l)
		}
		for i := 0; i < len(text); i++ {
			used[fold(text[i])] = true
		}
	}
	classes := 0
	if slices.Contains(used[:], false) {
		classes = 1 // 0 is for all that no literal holds
	}
	for c := range used {
		if used[c] {
			s.class[c] = uint8(classes)
			classes++
		}
	}
	for c := range s.class {
		s.class[c] = s.class[fold(byte(c))]
	}
	return classes, nil
}

// link follows the failure links, nearest the root first, until every cell of
// the table names the state to go to and every state its longest literal.
func (s *Set) link(nodes []node, trie []uint32, width int) {
	queue := make([]uint32, 1, len(nodes))
	for i := 0; i < len(queue); i++ {
		at := queue[i]
		fail := nodes[at].fail
		if i > 0 {
			s.chain(&nodes[at], nodes[fail].literal)
		}
		for c := range width {
			cell, fallback := int(at)<<s.shift|c, uint32(0)
			if i > 0 {
				fallback = trie[int(fail)<<s.shift|c]
			}
			if child := trie[cell]; child != 0 {
				nodes[child].fail = fallback
				queue = append(queue, child)
			} else {
				trie[cell] = fallback
			}
		}
	}
	ends := uint32(0)
	for _, at := range queue {
		if nodes[at].literal < 0 {
			nodes[at].number = ends
			ends++
		}
	}
	s.ends = ends
	s.first = make([]int32, 0, len(nodes)-int(ends))
	for _, at := range queue {
		if l := nodes[at].literal; l >= 0 {
			nodes[at].number = ends + uint32(len(s.first))
			s.first = append(s.first, l)
		}
	}
}

// chain puts the literals that end in a state's failure state behind its own.
func (s *Set) chain(n *node, shorter int32) {
	if n.literal < 0 {
		n.literal = shorter
		return
	}
	last := n.literal
	for s.next[last] >= 0 {
		last = s.next[last]
	}
	s.next[last] = shorter
}

// number writes the table in the states' final numbers.
func (s *Set) number(nodes []node, trie []uint32, width int) {
	if len(nodes) <= math.MaxUint16+1 {
		s.narrow = renumbered[uint16](nodes, trie, width)
	} else {
		s.wide = renumbered[uint32](nodes, trie, width)
	}
}

func renumbered[S uint16 | uint32](nodes []node, trie []uint32, width int) []S {
	table := make([]S, len(trie))
	for at := range nodes {
		row := table[int(nodes[at].number)*width:][:width]
		for c, to := range trie[at*width:][:width] {
			row[c] = S(nodes[to].number)
		}
	}
	return table
}
