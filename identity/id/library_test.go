//go:build !race

package id

// The comparisons with libphonenumber run in one goroutine and spend their time
// in its regular expressions, which the race detector makes twenty times slower.

import (
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// Every region's example numbers, of each kind, have one form, however the
// library would print them.
func TestExampleNumbersHaveOneForm(t *testing.T) {
	n, misprints := 0, 0
	for _, region := range PhoneRegions() {
		p := mustPhones(t, region)
		for kind := phonenumbers.FIXED_LINE; kind <= phonenumbers.VOICEMAIL; kind++ {
			x := phonenumbers.GetExampleNumberForType(region, kind)
			if x == nil {
				continue
			}
			want := phonenumbers.Format(x, phonenumbers.E164)
			if !phonenumbers.IsValidNumber(x) || !isE164(want) {
				continue
			}
			n++
			for name, style := range map[string]phonenumbers.PhoneNumberFormat{
				"E164": phonenumbers.E164, "international": phonenumbers.INTERNATIONAL, "national": phonenumbers.NATIONAL, "RFC 3966": phonenumbers.RFC3966,
			} {
				raw := phonenumbers.Format(x, style)
				if x, err := phonenumbers.Parse(raw, region); err != nil || phonenumbers.Format(x, phonenumbers.E164) != want {
					misprints++ // the library does not read it either
					continue
				}
				if got, ok := p.normalise(raw); !ok || got != want {
					t.Errorf("%s, kind %d, %s %q became %q; want %q", region, kind, name, raw, got, want)
				}
			}
		}
	}
	t.Logf("%d numbers, %d misprints", n, misprints)
	if n < 1000 || misprints > 5 {
		t.Error("the examples say little")
	}
}

// The library is the oracle of which numbers there are.
func TestExistsAsTheLibrarySays(t *testing.T) {
	const seed = 20
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	p := mustPhones(t, "")
	regions := PhoneRegions()
	valid := 0
	const rounds = 20_000
	for range rounds {
		region := regions[rng.IntN(len(regions))]
		code := phonenumbers.GetCountryCodeForRegion(region)
		x := phonenumbers.GetExampleNumberForType(region, phonenumbers.PhoneNumberType(rng.IntN(3)))
		if x == nil {
			continue
		}
		national := []byte(phonenumbers.GetNationalSignificantNumber(x))
		for range rng.IntN(4) {
			national[rng.IntN(len(national))] = byte('0' + rng.IntN(10))
		}
		switch rng.IntN(8) {
		case 0:
			national = national[:len(national)-1]
		case 1:
			national = append(national, byte('0'+rng.IntN(10)))
		}
		number := "+" + strconv.Itoa(code) + string(national)
		if !isE164(number) {
			continue
		}
		want := phonenumbers.IsValidNumber(assemble(code, string(national)))
		if got := p.exists(number); got != want {
			t.Fatalf("%s exists: %v; the library says %v", number, got, want)
		}
		if want {
			valid++
		}
	}
	t.Logf("%d of %d exist", valid, rounds)
	if valid < rounds/10 || valid > rounds*9/10 {
		t.Error("the draw says little")
	}
}
