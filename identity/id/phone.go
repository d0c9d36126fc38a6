package id

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

// phones brings telephone numbers to E.164: + and up to 15 digits, the country
// calling code first (ITU-T E.164, 6.2). What a country's plan says of prefixes
// and of which numbers there can be comes from Google's libphonenumber, through
// its maintained Go port.
//
// Invariants:
//   - A number that is right as it stands, in E.164 form, is its own form. So
//     normalising twice is normalising once, and a number has one form however
//     it was written.
//   - A number has a form only if its country's plan has such numbers (what
//     libphonenumber calls valid). Taking every number of a possible length was
//     rejected: 1234567890 and 1111111111 have one in North America, they are
//     what people type to be left alone, and they would make one person of
//     strangers. The price is that a range which was opened after the
//     library's data were made joins nobody until the library is renewed; two
//     devices of one person stay two, which the next login mends.
//   - A number that is written without its country has a form only by the
//     region that the operator named: two countries' people may share one.
//
// It is safe for concurrent use. A plan is read when its first number comes,
// which takes some 0.3 ms (North America's 25 regions 4 ms), since most installs
// meet few of the 215. All together are 7 MB.
type phones struct {
	region string // ISO 3166-1 alpha-2; "": none
	plans  [1000]atomic.Pointer[plan]
}

// minPhone and maxPhone bound a number in E.164 form, with its +. The shortest
// numbers in use have seven digits with their calling code (ITU-T E.164 names no
// least length).
const (
	minPhone = 1 + 7
	maxPhone = 1 + 15
)

func newPhones(region string) (*phones, error) {
	if region != "" && !slices.Contains(PhoneRegions(), region) {
		return nil, fmt.Errorf("phone region is %q; expected a country's two letters in capitals (ISO 3166-1), such as FI", region)
	}
	return &phones{region: region}, nil
}

// PhoneRegions lists the regions whose telephone plans are known, sorted: ISO
// 3166-1 alpha-2 codes, and XK, AC and TA, which have plans of their own.
func PhoneRegions() []string {
	var list []string
	for r := range phonenumbers.GetSupportedRegions() {
		list = append(list, r)
	}
	slices.Sort(list)
	return list
}

// RegionOfCallingCode is the region that a country calling code mainly stands
// for, such as "FI" for "358"; "" when there is none.
func RegionOfCallingCode(code string) string {
	n, digits := callingCode(code)
	if digits == 0 || digits != len(code) {
		return ""
	}
	if r := phonenumbers.GetRegionCodeForCountryCode(n); r != nonGeographic {
		return r
	}
	return ""
}

// nonGeographic is the region of numbers that belong to no country, such as
// +800 (UN M.49: the world).
const nonGeographic = "001"

// normalise is the normaliser of phone numbers.
func (p *phones) normalise(s string) (string, bool) {
	if isE164(s) && p.exists(s) {
		return s, true
	}
	var room [1 + maxWritten]byte
	number, ok := digitsOf(room[:0], s)
	if !ok {
		return "", false
	}
	if number[0] == '+' {
		if n, ok := p.international(number); ok {
			return n, true
		}
		// A trunk zero in brackets, for callers inside the country, in a plan
		// whose numbers have none: +34 (0)91 …
		if before, after, found := strings.Cut(s, "(0)"); found && !strings.Contains(after, "(0)") {
			if number, ok = digitsOf(room[:0], before+after); ok {
				return p.international(number)
			}
		}
		return "", false
	}
	if p.region == "" {
		return "", false
	}
	if n, ok := p.read(number, p.region); ok {
		return n, true
	}
	// 00 is how most of the world dials abroad (ITU-T E.123 recommends it), and
	// what its people write on the sites of countries that dial otherwise.
	if rest, found := strings.CutPrefix(number, "00"); found {
		return p.international("+" + rest)
	}
	return "", false
}

// international gives the form of + and digits.
func (p *phones) international(number string) (string, bool) {
	if isE164(number) && p.exists(number) {
		return number, true
	}
	// Most often a trunk prefix too many: +358 (0)40 …
	return p.read(number, "")
}

// read asks the library what number is in region.
func (p *phones) read(number, region string) (string, bool) {
	n, err := phonenumbers.Parse(number, region)
	if err != nil {
		return "", false
	}
	if s := phonenumbers.Format(n, phonenumbers.E164); isE164(s) && p.exists(s) {
		return s, true
	}
	return "", false
}

// isE164 says that s is + and as many digits as a number can have.
func isE164(s string) bool {
	return len(s) >= minPhone && len(s) <= maxPhone && s[0] == '+' && s[1] != '0' && allDigits(s[1:])
}

func allDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

const (
	// maxWritten is the longest writing of a number that is read, in bytes.
	maxWritten = 100
	// maxDialled is the most digits of one: the number, and in front of it the
	// prefixes of a carrier and of a call abroad.
	maxDialled = maxPhone + 10
)

// digitsOf appends to b the number that s writes: its digits, after a + when
// it has one. Only what people write between digits may stand between them.
//
// What is more than a number is no identifier of a person:
//   - An extension (x12, ;ext=12, #12) is one person's, and the number before it
//     is their company's. Dropping it would make one person of colleagues, and
//     with it the number is not E.164.
//   - Letters for digits (1-800-FLOWERS) are written by companies for their
//     hotlines; from people letters are words ("040 1234567 home"), which a
//     keypad turns into other people's numbers.
func digitsOf(b []byte, s string) (string, bool) {
	if len(s) > maxWritten {
		return "", false
	}
	if len(s) >= 4 && strings.EqualFold(s[:4], "tel:") { // RFC 3966
		s = strings.TrimLeft(s[4:], " ")
		if local, context, found := strings.Cut(s, ";phone-context=+"); found {
			s = "+" + context + local
		}
	}
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			b = append(b, byte(r))
		case (r == '+' || r == '\uff0b') && len(b) == 0:
			b = append(b, '+')
		case unicode.Is(unicode.Nd, r):
			b = append(b, '0'+digitValue(r))
		case unicode.Is(unicode.Pd, r), unicode.IsSpace(r), unicode.Is(unicode.Cf, r):
			// Dashes; spaces; the invisible signs that address books wrap numbers in.
		case strings.ContainsRune("()[]./\u2212\u30fc\uff08\uff09\uff0e\uff0f\uff3b\uff3d", r):
		default:
			return "", false
		}
	}
	if len(b) == 0 || len(b) > maxDialled || b[0] == '+' && (len(b) == 1 || b[1] == '0') {
		return "", false
	}
	return string(b), true
}

// digitValue is the value of a decimal digit of any script. Unicode keeps each
// script's ten in ascending order, and Go's ranges begin at a zero.
func digitValue(r rune) byte {
	for _, x := range unicode.Nd.R16 {
		if uint32(r) <= uint32(x.Hi) {
			return byte((uint32(r) - uint32(x.Lo)) % 10)
		}
	}
	for _, x := range unicode.Nd.R32 {
		if uint32(r) <= x.Hi {
			return byte((uint32(r) - x.Lo) % 10)
		}
	}
	return 0
}

// exists says that the plan of number, which is in E.164 form, has such numbers:
// phonenumbers.IsValidNumber, without its allocations (a test compares the two).
func (p *phones) exists(number string) bool {
	code, digits := callingCode(number[1:])
	if digits == 0 {
		return false
	}
	plan := p.plans[code].Load()
	if plan == nil {
		plan = newPlan(code)
		p.plans[code].Store(plan) // another's, made meanwhile, is the same
	}
	return plan.has(number[1+digits:])
}

// callingCode is the country calling code that s begins with, and its length.
// No code is the beginning of another.
func callingCode(s string) (code, digits int) {
	for digits < len(s) && digits < 3 && s[digits] >= '0' && s[digits] <= '9' {
		code = 10*code + int(s[digits]-'0')
		if digits++; len(phonenumbers.GetRegionCodesForCountryCode(code)) > 0 {
			return code, digits
		}
	}
	return 0, 0
}

// plan is the numbering plan behind one country calling code, which several
// regions may share. Immutable.
type plan struct{ regions []regionPlan }

type regionPlan struct {
	leading *regexp.Regexp // numbers that begin so are this region's, right or wrong; nil: unsaid
	general numbers
	kinds   []numbers // mobile, fixed, toll-free, …
}

// numbers are the national numbers of one description.
type numbers struct {
	lengths uint32 // bit n: there are numbers of n digits; 0: the pattern knows
	pattern *regexp.Regexp
}

func newPlan(code int) *plan {
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return &plan{} // cannot be: the library has read them at its start
	}
	p := &plan{}
	for _, region := range phonenumbers.GetRegionCodesForCountryCode(code) {
		for _, m := range all.GetMetadata() {
			if m.GetId() == region && int(m.GetCountryCode()) == code {
				p.regions = append(p.regions, newRegionPlan(m))
			}
		}
	}
	return p
}

func newRegionPlan(m *phonenumbers.PhoneMetadata) (r regionPlan) {
	if l := m.GetLeadingDigits(); l != "" {
		r.leading = regexp.MustCompile("^(?:" + l + ")")
	}
	r.general, _ = newNumbers(m.GetGeneralDesc())
	var seen []string
	for _, d := range []*phonenumbers.PhoneNumberDesc{
		m.GetMobile(), m.GetFixedLine(), m.GetTollFree(), m.GetPremiumRate(), m.GetSharedCost(), m.GetVoip(),
		m.GetPersonalNumber(), m.GetPager(), m.GetUan(), m.GetVoicemail(),
	} {
		if n, ok := newNumbers(d); ok && !slices.Contains(seen, d.String()) {
			r.kinds, seen = append(r.kinds, n), append(seen, d.String())
		}
	}
	return r
}

func newNumbers(d *phonenumbers.PhoneNumberDesc) (n numbers, ok bool) {
	if d.GetNationalNumberPattern() == "" {
		return n, false
	}
	for _, l := range d.GetPossibleLength() {
		if l < 0 { // a kind that the region does not have
			return n, false
		}
		n.lengths |= 1 << l
	}
	n.pattern = regexp.MustCompile("^(?:" + d.GetNationalNumberPattern() + ")$")
	return n, true
}

// has follows libphonenumber: the first region that claims the number decides.
func (p *plan) has(national string) bool {
	if len(p.regions) == 1 {
		return p.regions[0].has(national)
	}
	for i := range p.regions {
		r := &p.regions[i]
		if r.leading == nil {
			if r.has(national) {
				return true
			}
		} else if r.leading.MatchString(national) {
			return r.has(national)
		}
	}
	return false
}

func (r *regionPlan) has(national string) bool {
	if !r.general.has(national) {
		return false
	}
	for i := range r.kinds {
		if r.kinds[i].has(national) {
			return true
		}
	}
	return false
}

func (n *numbers) has(national string) bool {
	return n.pattern != nil && (n.lengths == 0 || n.lengths&(1<<len(national)) != 0) && n.pattern.MatchString(national)
}
