package pageurl

// scan is one pass over a text. Characters are read with their escapes
// resolved, however many: an address inside an address, as redirect=https%3A…,
// is read like the one it stands in.
//
// Invariant: a pass takes time in proportion to the text, whatever it holds:
// what was looked at ahead is either taken as a whole, or at most a few dozen
// characters, or ends at the next "@".
type scan struct {
	s      string
	edits  []edit
	free   bool   // a text, perhaps JSON, and no address
	action bool   // the path under way has said that a secret may follow: /reset/…
	before string // the path's segment before the one under way
	inPath bool

	// A code is a secret when a state stands beside it (RFC 6749, 4.1.2), or when
	// the path is about signing in; a promotion has codes, too.
	codes     [4]edit
	nCodes    int
	looked    int // how often a code's end was looked for
	hasCode   bool
	hasState  bool
	hasAction bool
}

// hush is what is not looked for in the value of a known parameter.
type hush uint8

const (
	hushNothing hush = iota
	hushRandom       // long random words are as they should be
	hushAll          // but e-mail addresses
)

// run looks through s[from:to]. A parameter's name may begin at name (-1: none
// does); inQuery says that ";" and "/" end no value here.
func (x *scan) run(from, to, name int, inQuery bool) {
	x.runHushed(from, to, name, inQuery, hushNothing)
}

func (x *scan) runHushed(from, to, name int, inQuery bool, quiet hush) {
	s := x.s
	word, escaped := -1, false // the word under way
	var seen uint8             // what it is made of
	local := from              // where what may stand before an @ began
	segment := from            // where the path's segment began
	opener := byte('?')        // what stood before the name
	if !inQuery {
		opener = '/'
	}
	quietLevel := -1
	if quiet != hushNothing {
		quietLevel = 0
	}
	var queries uint8 // one bit for each level of escaping: a "?" has been seen
	if inQuery {
		queries = 1
	}
	for i := from; ; {
		var c byte
		width, level := 1, 0
		if i < to {
			c = s[i]
			if k := kinds[c]; k&isWord != 0 {
				if word < 0 {
					word, seen = i, 0
				}
				for seen |= k; ; seen |= k {
					if i++; i == to {
						break
					}
					if k = kinds[s[i]]; k&isWord == 0 {
						break
					}
				}
				continue
			}
			if c == '%' || c == '\\' && x.free {
				c, width, level = char(s, i, x.free)
				if width > 1 && kinds[c]&isWord != 0 && i+width <= to {
					if word < 0 {
						word, seen = i, 0
					}
					seen |= kinds[c]
					escaped = true
					i += width
					continue
				}
			}
		}
		if word >= 0 {
			// In small letters without a digit only what is long can be more than a word.
			if n := i - word; quiet != hushAll && n >= 4 && (seen&isDigit != 0 || n >= mailHead && seen&isUpper != 0 || n >= longWord) {
				if end := x.word(word, i, to, escaped, quiet); end > i {
					word, escaped, local, name = -1, false, end, -1
					i = end
					continue
				}
			}
			word, escaped = -1, false
		}
		if i >= to {
			break
		}
		next := min(i+width, to)
		switch c {
		case '@':
			if local < i {
				if end := x.domain(next, to); end > 0 {
					x.add(edit{from: local, to: end, name: -1, text: "[email]", rule: ruleEmail})
					next = end
				}
			}
			local = next
		case '=':
			if name < 0 {
				break // a local part may hold one
			}
			r := judge(s, name, i)
			isQuery := queries&(1<<min(level, 7)) != 0 || opener == '?' || opener == '&' || opener == '#'
			switch start := next; {
			case r.replaces():
				if end := x.valueEnd(start, to, level, isQuery); x.value(name, start, end, r) {
					next = end
				}
			case (r == ruleCode || r == ruleState) && x.looked < 2*len(x.codes):
				x.looked++
				x.code(edit{from: start, to: x.shortEnd(start, to, level, isQuery), name: name, text: "[token]", rule: r})
			case r == ruleCampaign && quiet == hushNothing:
				quiet, quietLevel = hushRandom, level
			case r == ruleClick && quiet == hushNothing:
				quiet, quietLevel = hushAll, level
			}
			local, name = next, -1
		case '?', '&', '#', ';', '/':
			local, name, opener = next, next, c
			switch c {
			case '/', '?':
				if x.actionWord(segment, i) {
					x.action, x.hasAction = true, true
				}
				x.before, segment = s[segment:i], next
				if c == '/' && x.free {
					name = -1
				}
				if c == '?' {
					x.action = false
					queries |= 1 << min(level, 7)
				}
			case '&', '#':
				x.action = false
				if quietLevel >= 0 && level <= quietLevel {
					quiet, quietLevel = hushNothing, -1
				}
				queries &= 2<<min(level, 7) - 1
			}
		default:
			if kinds[c]&isLocal == 0 && (level < 2 || c >= ' ') { // 50%25%30…: resolved too often
				local = next
				if x.free {
					name, queries, x.action = -1, 0, false
					segment = next
					if quietLevel >= 0 {
						quiet, quietLevel = hushNothing, -1
					}
				}
			}
		}
		i = next
	}
	x.hasAction = x.hasAction || x.inPath && x.actionWord(segment, to)
	x.action = false
}

// value replaces the value of a parameter unless nothing or a mark stands there.
// A value that stays is short.
func (x *scan) value(name, from, to int, r rule) (replaced bool) {
	v := x.s[from:to]
	if v == "" || isMarker(v) || r == ruleSecretWord && !secretive(v) || r.isPersonal() && isFlag(v) || r == ruleMail && isCount(v) {
		return false
	}
	x.add(edit{from: from, to: to, name: name, text: r.marker(), rule: r})
	return true
}

// valueEnd finds where a value ends whose "=" was escaped level times: at an "&"
// or "#" that is escaped as often, or less, in a path at "/", "?" and ";" too, in
// a text where no address goes on.
func (x *scan) valueEnd(i, to, level int, isQuery bool) int {
	for i < to {
		c, width, l := char(x.s, i, x.free)
		if l <= level {
			switch c {
			case '&', '#':
				return i
			case '/', '?', ';':
				if !isQuery {
					return i
				}
			}
			if x.free && (c <= ' ' || c == '"' || c == '\'' || c == '<' || c == '>' || c == '\\' || c == ')' || c == '}') {
				return i
			}
		}
		i = min(i+width, to)
	}
	return to
}

// shortEnd is valueEnd for a value that is scanned all the same, so it looks
// ahead no further than any code is long; a longer one is no code.
func (x *scan) shortEnd(i, to, level int, isQuery bool) int {
	most := min(to, i+2048)
	if end := x.valueEnd(i, most, level, isQuery); end < most || most == to {
		return end
	}
	return i
}

// code remembers a code or a state until all is known.
func (x *scan) code(e edit) {
	x.hasCode = x.hasCode || e.rule == ruleCode
	x.hasState = x.hasState || e.rule == ruleState
	if v := x.s[e.from:e.to]; v != "" && !isMarker(v) && x.nCodes < len(x.codes) {
		x.codes[x.nCodes] = e
		x.nCodes++
	}
}

func (x *scan) settleCodes() {
	if x.nCodes == 0 || !x.hasCode || !x.hasState && !x.hasAction {
		return
	}
	for _, e := range x.codes[:x.nCodes] {
		if e.rule == ruleCode || x.hasState {
			x.add(e)
		}
	}
}

// domain reads the domain of an e-mail address: letters, digits, "-" and ".",
// with a part behind a dot that begins with two letters. It gives its end; 0
// when there is none.
//
// Not every @ makes an e-mail address: logo@2x.png is a picture for dense
// screens, vue@3.4.21-rc.1 a version.
func (x *scan) domain(from, to int) int {
	end, ok := 0, false
	var head [8]byte // the beginning, to tell pictures and versions
	n := 0
	letters := -1 // of the part's beginning; -1: the first part, or past its beginning
	for i := from; i < to; {
		c, width, _ := char(x.s, i, x.free)
		k := kinds[c]
		if k&isDomain == 0 {
			break
		}
		i = min(i+width, to)
		if n < len(head) {
			head[n] = c | 0x20
		}
		n++
		switch {
		case c == '.':
			letters = -1
			if end > 0 {
				letters = 0
			}
			continue
		case c == '-':
			letters = -1
			continue
		case k&(isUpper|isLower|isWide) == 0:
			letters = -1
		case letters >= 0:
			if letters++; letters == 2 {
				ok = true
			}
		}
		end = i
	}
	if !ok || isPicture(head[:min(n, len(head))]) || isVersion(head[:min(n, len(head))]) {
		return 0
	}
	return end
}

// isPicture: "2x.png", "3x.webp", "1.5x.jpg", "0.5.png".
func isPicture(head []byte) bool {
	i := 0
	for i < len(head) && (head[i] >= '0' && head[i] <= '9' || i > 0 && i+1 < len(head) && head[i] == '.' && head[i+1] <= '9') {
		i++
	}
	if i > 0 && i < len(head) && head[i] == 'x' {
		i++
	}
	if i == 0 || len(head) < i+3 || head[i] != '.' {
		return false
	}
	switch string(head[i+1 : i+3]) {
	case "pn", "jp", "we", "gi", "sv", "av":
		return true
	}
	return false
}

// isVersion: "18.2.0", "v1.2.3-rc".
func isVersion(head []byte) bool {
	i := 0
	if len(head) > 0 && head[0] == 'v' {
		i++
	}
	for part := range 3 {
		start := i
		for i < len(head) && head[i] >= '0' && head[i] <= '9' {
			i++
		}
		if i == start {
			return false
		}
		if part == 2 {
			return true
		}
		if i == len(head) || head[i] != '.' {
			return false
		}
		i++
	}
	return false
}
