package folder

// Turn is whose turn is at a place, of so many: a permutation that looks like none.
func Turn(place, of int) int {
	return int(uint64(place) * step(uint64(of)) % uint64(of))
}

// step is prime to n, so that its multiples meet each number below n once.
func step(n uint64) uint64 {
	for s := uint64(float64(n)*0.618) | 1; ; s++ {
		if gcd(s, n) == 1 {
			return s
		}
	}
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// Hash is a number of a visitor's own for each purpose, the same whenever it is asked for.
func Hash(seed uint64, visitor int, purpose uint64) uint64 {
	return mix(mix(seed^purpose<<40) ^ uint64(visitor))
}

// mix is the finaliser of SplitMix64: every input bit changes half of the output's.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
