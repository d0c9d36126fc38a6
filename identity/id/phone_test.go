package id

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/nyaruka/phonenumbers"
)

func mustPhones(t testing.TB, region string) *phones {
	t.Helper()
	p, err := newPhones(region)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// What people write, and what a reader of it would dial. "" is no identifier.
func TestPhones(t *testing.T) {
	for _, c := range []struct{ region, raw, want string }{
		// In E.164 form, and as people write that, region or none.
		{"", "+358401234567", "+358401234567"},
		{"US", "+358401234567", "+358401234567"},
		{"", "+358 40 123 4567", "+358401234567"},
		{"", "+358-40-123-45.67", "+358401234567"},
		{"", "+358 (0)40 1234567", "+358401234567"},
		{"", "+3580401234567", "+358401234567"},
		{"", "+49 (0)171/1234567", "+491711234567"},
		{"", "+34 (0)912 34 56 78", "+34912345678"},          // numbers in Spain have no trunk zero
		{"", "+33 6 12 34 56 78", "+33612345678"},            // no-break spaces, thin and not
		{"", "\u202a+358 40 1234567\u202c", "+358401234567"}, // as address books copy it
		{"", "+358 40\u20111234567", "+358401234567"},
		{"", "\uff0b358 \uff14\uff10 1234567", "+358401234567"},
		{"", "+800 1234 5678", "+80012345678"},        // of no country
		{"", "+54 11 15 1234 5678", "+5491112345678"}, // the mobile 15 of Argentina is a 9 from abroad
		{"", "+39 06 1234 5678", "+390612345678"},     // Italy's zero is part of the number
		{"", "+39 6 1234 5678", ""},

		// Dialled from inside a country.
		{"FI", "040 1234567", "+358401234567"},
		{"FI", "(040) 123 4567", "+358401234567"},
		{"FI", "358401234567", "+358401234567"}, // the + fell off
		{"DE", "0171 1234567", "+491711234567"},
		{"US", "(415) 555-2671", "+14155552671"},
		{"US", "1 415 555 2671", "+14155552671"},
		{"CA", "1-416-555-0123", "+14165550123"},
		{"RU", "8 912 345-67-89", "+79123456789"},
		{"IT", "06 1234 5678", "+390612345678"},
		{"HU", "06 30 123 4567", "+36301234567"},
		{"GB", "020 7946 0958", "+442079460958"},
		{"BR", "015 11 96123-4567", "+5511961234567"}, // with a carrier's code
		{"SG", "8123 4567", "+6581234567"},

		// Dialled abroad.
		{"FI", "00358 40 1234567", "+358401234567"},
		{"FI", "00 44 20 7946 0958", "+442079460958"},
		{"US", "011 44 20 7946 0958", "+442079460958"},
		{"US", "0044 20 7946 0958", "+442079460958"}, // a visitor's habit
		{"AU", "0011 44 20 7946 0958", "+442079460958"},

		// tel: URIs (RFC 3966).
		{"", "tel:+358-40-1234567", "+358401234567"},
		{"", "TEL:+358401234567", "+358401234567"},
		{"", "tel:040-1234567;phone-context=+358", "+358401234567"},
		{"FI", "tel:040-1234567;phone-context=example.com", ""},

		// Digits of other scripts.
		{"EG", "٠١٠٠ ١٢٣ ٤٥٦٧", "+201001234567"},
		{"", "+٣٥٨ ٤٠ ١٢٣٤٥٦٧", "+358401234567"},
		{"IR", "۰۹۱۲ ۳۴۵ ۶۷۸۹", "+989123456789"},
		{"IN", "०९८१२ ३४५६७८", "+919812345678"},

		// Without a country nobody knows whose it is.
		{"", "040 1234567", ""},
		{"", "358401234567", ""},
		{"", "00358401234567", ""},

		// An extension's number is a company's.
		{"GB", "020 7946 0958 ext. 12", ""},
		{"GB", "020 7946 0958 x12", ""},
		{"GB", "020 7946 0958 #12", ""},
		{"", "+442079460958,,12", ""},
		{"", "tel:+44-20-7946-0958;ext=12", ""},

		// Letters are words.
		{"US", "1-800-FLOWERS", ""},
		{"FI", "040 1234567 home", ""},
		{"FI", "call me 040 1234567 now", ""},
		{"FI", "0401234567 / 0501234567", ""}, // two numbers

		// Numbers that no plan has.
		{"US", "555-2671", ""}, // of some city
		{"US", "1234567890", ""},
		{"US", "111 111 1111", ""},
		{"", "+11111111111", ""},
		{"FI", "112", ""},
		{"", "+999123456789", ""},
		{"", "+0401234567", ""},
		{"FI", "+0401234567", ""},
		{"", "+12345", ""},
		{"", "+1234567890123456", ""},
		{"FI", "+", ""},
		{"FI", "()", ""},
		{"FI", "*100#", ""},
		{"FI", "+358+401234567", ""},
		{"FI", strings.Repeat("0", 101), ""},
	} {
		if got, ok := mustPhones(t, c.region).normalise(c.raw); got != c.want || ok != (c.want != "") {
			t.Errorf("in %q %q became %q, %v; want %q", c.region, c.raw, got, ok, c.want)
		}
	}
}

// assemble makes the library's number of a calling code and the digits behind it,
// without reading them as a person's writing.
func assemble(code int, national string) *phonenumbers.PhoneNumber {
	c, value := int32(code), uint64(0)
	zeros := int32(len(national) - len(strings.TrimLeft(national[:len(national)-1], "0")) - 1)
	for _, d := range national {
		value = 10*value + uint64(d-'0')
	}
	x := &phonenumbers.PhoneNumber{CountryCode: &c, NationalNumber: &value}
	if lead := zeros > 0; lead {
		x.ItalianLeadingZero, x.NumberOfLeadingZeros = &lead, &zeros
	}
	return x
}

func TestDigitsOfEveryScript(t *testing.T) {
	n := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.Is(unicode.Nd, r) {
			continue
		}
		n++
		first := r
		for unicode.Is(unicode.Nd, first-1) {
			first--
		}
		if got, want := digitValue(r), byte((r-first)%10); got != want {
			t.Errorf("%U is %d, want %d", r, got, want)
		}
	}
	if n < 600 || n%10 != 0 {
		t.Errorf("met %d digits", n)
	}
}

func TestPhoneRegions(t *testing.T) {
	list := PhoneRegions()
	if !slices.IsSorted(list) || len(list) < 200 || !slices.Contains(list, "FI") || slices.Contains(list, nonGeographic) {
		t.Errorf("%d regions: %v", len(list), list)
	}
	for code, want := range map[string]string{"358": "FI", "1": "US", "44": "GB", "800": "", "0": "", "": "", "3589": "", "35": "", "x": ""} {
		if got := RegionOfCallingCode(code); got != want {
			t.Errorf("calling code %q is %q's, want %q", code, got, want)
		}
	}
	for _, r := range []string{"fi", "UK", "FIN", "001", "ZZ", " "} {
		if _, err := newPhones(r); err == nil {
			t.Errorf("took the region %q", r)
		}
	}
}

// A number has one form: what it became it stays, in any region, and again.
func FuzzPhone(f *testing.F) {
	for _, s := range []string{"+358401234567", "040 1234567", "00358 40 1234567", "+49 (0)171/1234567", "tel:+1-415-555-2671", "+54 11 15 1234 5678",
		"1-800-FLOWERS", "020 7946 0958 ext. 12", "tel:040;phone-context=+358", "+٣٥٨ ٤٠", "+39 006", "+1 (0)(0)", "+", "(0)", ";phone-context=+"} {
		for i := range 4 {
			f.Add(s, uint8(i))
		}
	}
	regions := []string{"", "FI", "US", "IT", "AR", "BR", "MX", "DE", "CN", "BS", "JE", "KZ"}
	var all []*phones
	for _, r := range regions {
		all = append(all, mustPhones(f, r))
	}
	f.Fuzz(func(t *testing.T, s string, region uint8) {
		p := all[int(region)%len(all)]
		got, ok := p.normalise(s)
		if again, same := p.normalise(s); again != got || same != ok {
			t.Fatalf("%q became %q, and then %q", s, got, again)
		}
		if !ok {
			if got != "" {
				t.Fatalf("%q: none, and %q", s, got)
			}
			return
		}
		if !isE164(got) {
			t.Fatalf("%q became %q", s, got)
		}
		for _, other := range all {
			if again, ok := other.normalise(got); !ok || again != got {
				t.Fatalf("%q became %q, and that in %q %q (%v)", s, got, other.region, again, ok)
			}
		}
		if !phonenumbers.IsValidNumber(assembleE164(got)) {
			t.Fatalf("%q became %q, which no plan has", s, got)
		}
	})
}

func assembleE164(s string) *phonenumbers.PhoneNumber {
	code, digits := callingCode(s[1:])
	return assemble(code, s[1+digits:])
}

// Plans are read when they are first needed; many may need one at once.
func TestPhonesAreReadAtOnce(t *testing.T) {
	p := mustPhones(t, "FI")
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for raw, want := range map[string]string{"+14155552671": "+14155552671", "040 1234567": "+358401234567", "+49 171 1234567": "+491711234567"} {
				if got, ok := p.normalise(raw); !ok || got != want {
					t.Errorf("%q became %q", raw, got)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkPhone(b *testing.B) {
	for _, c := range []struct{ name, region, raw string }{
		{"e164_FI", "", "+358401234567"}, {"e164_US", "", "+14155552671"}, {"e164_DE", "", "+491711234567"}, {"e164_CN", "", "+8613812345678"},
		{"spaced", "", "+358 40 1234567"}, {"national_FI", "FI", "040 1234567"}, {"national_US", "US", "(415) 555-2671"}, {"none", "FI", "call me"},
		{"no_plan", "AR", "0" + strings.Repeat("11 15 ", 5)}, {"too_long", "AR", strings.Repeat("11 ", 33)},
	} {
		b.Run(c.name, func(b *testing.B) {
			p := mustPhones(b, c.region)
			b.ReportAllocs()
			for b.Loop() {
				p.normalise(c.raw)
			}
		})
	}
}
