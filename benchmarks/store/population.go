package main

import (
	"encoding/base32"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// Population is a number of visitors, of whom everything follows from a seed
// and their number: who they are, how often they come, who logs in.
type Population struct {
	Persons int     `json:"persons"`
	Mean    float64 `json:"mean"` // events a person, about
	Seed    uint64  `json:"seed"`
}

// Three in four visitors leave one to three events (just one where the mean is
// low). Of the rest four in five have a middling number, and one in five is a
// regular: their numbers follow Pareto's law with exponent 2, so a few have hundreds.
const (
	lightShare   = 0.75
	regularShare = 0.05
	mostEvents   = 5000
)

// leastMean is the lowest mean that leaves all of them an event, and fullMean
// from where on light visitors have up to three.
const (
	leastMean = 1.5
	fullMean  = 2.5
)

// events is how many events visitor v leaves.
func (p Population) events(v int) int {
	h := p.hash(v, 1)
	share, u := unit(h), unit(mix(h))
	most := 3
	if p.Mean < fullMean {
		most = 1
	}
	rest := (p.Mean - lightShare*float64(1+most)/2) / (1 - lightShare)
	x := 1.0
	switch {
	case share < lightShare:
		return 1 + int(float64(most)*u)
	case share < 1-regularShare:
		x = 1 + u*2*(rest/2-1)
	default:
		x = 1.5 * rest / math.Sqrt(1-u)
	}
	return min(max(1, int(x+0.5)), mostEvents)
}

// login is the event by which v logs in; -1 for who never does. One in twenty
// does, and two of these are one person with two devices.
func (p Population) login(v int) int {
	if v%20 != 0 {
		return -1
	}
	return min(1, p.events(v)-1)
}

// person gives all devices of whoever uses v, v among them.
func (p Population) person(v int) []int {
	if v%20 != 0 {
		return []int{v}
	}
	first := v / 40 * 40
	if first+20 >= p.Persons {
		return []int{first}
	}
	return []int{first, first + 20}
}

func userOf(v int) string { return "u-" + strconv.Itoa(v/40) }

// anonymous is what v's cookie says, in its form: v_ and 26 letters.
func (p Population) anonymous(v int) string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], p.hash(v, 2))
	binary.LittleEndian.PutUint64(b[8:], p.hash(v, 3))
	return "v_" + lower32.EncodeToString(b[:])
}

var lower32 = base32.NewEncoding(strings.ToLower("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")).WithPadding(base32.NoPadding)

func (p Population) hash(v int, purpose uint64) uint64 {
	return mix(mix(p.Seed^purpose<<56) ^ uint64(v))
}

// mix is the finaliser of SplitMix64.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// unit makes a number from 0 up to but not 1 of a hash.
func unit(h uint64) float64 { return float64(h>>11) / (1 << 53) }
