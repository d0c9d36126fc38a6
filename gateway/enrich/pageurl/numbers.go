package pageurl

// card reads a payment card's number that begins at from, in one piece or in
// groups of which the first has four digits. It gives its end; 0 when there is
// none.
func (x *scan) card(from, to int) int {
	var digits [19]byte // the longest (ISO/IEC 7812-1)
	n, group := 0, 0
	apart := false // the group before was ended by something
	for i := from; i < to; {
		c, width, _ := char(x.s, i, x.free)
		k := kinds[c]
		if k&isDigit == 0 {
			break
		}
		if n == len(digits) {
			return 0
		}
		digits[n] = c
		n++
		group++
		i = min(i+width, to)
		// What comes now: a digit, one mark between groups, or the end.
		var next uint8
		if i < to {
			c, width, _ = char(x.s, i, x.free)
			next = kinds[c]
		}
		switch {
		case next&isDigit != 0:
			continue
		case next&isAlnum == 0 && n >= 13 && isCard(digits[:n], apart):
			return i
		case next&isAlnum != 0 || group < 3 || !apart && group != 4:
			return 0
		case c == ' ' || c == '-' || c == '+' || c == '.' || c == '_':
			i = min(i+width, to)
			apart, group = true, 0
		}
	}
	return 0
}

// isCard: the prefixes and lengths that issuers use, and Luhn's check. A number
// of 13 digits may be an article's instead (EAN-13).
func isCard(d []byte, grouped bool) bool {
	two, four := int(d[0]-'0')*10+int(d[1]-'0'), 0
	for _, c := range d[:4] {
		four = four*10 + int(c-'0')
	}
	ok := false
	switch len(d) {
	case 13:
		ok = d[0] == '4' && (grouped || !isEAN(d)) // Visa's of old
	case 14:
		ok = four >= 3000 && four <= 3059 || four == 3095 || two == 36 || two == 38 || two == 39 // Diners Club
	case 15:
		ok = two == 34 || two == 37 // American Express
	default:
		ok = d[0] == '4' || two >= 50 && two <= 69 || four >= 2221 && four <= 2720 || four >= 3528 && four <= 3589 || two == 36 || two == 30 || two == 38 || two == 39
	}
	return ok && luhn(d)
}

func luhn(d []byte) bool {
	sum := 0
	for i, c := range d {
		v := int(c - '0')
		if (len(d)-i)%2 == 0 {
			if v *= 2; v > 9 {
				v -= 9
			}
		}
		sum += v
	}
	return sum%10 == 0
}

func isEAN(d []byte) bool {
	sum := 0
	for i, c := range d {
		sum += int(c-'0') * (1 + i%2*2)
	}
	return sum%10 == 0
}

// iban reads an international bank account number (ISO 13616) that begins at
// from, in one piece or in groups. It gives its end; 0 when there is none.
func (x *scan) iban(from, to int) int {
	var account [34]byte
	n, most := 0, 0
	for i := from; i < to; {
		c, width, _ := char(x.s, i, x.free)
		if kinds[c]&isLower != 0 {
			c -= 0x20
		}
		k := kinds[c]
		if k&isAlnum == 0 {
			if n < 4 || n%4 != 0 || c != ' ' && c != '-' && c != '+' {
				return 0
			}
			i = min(i+width, to)
			c, width = 0, 0
			if i < to {
				c, width, _ = char(x.s, i, x.free)
				if kinds[c]&isLower != 0 {
					c -= 0x20
				}
			}
			if k = kinds[c]; k&isAlnum == 0 {
				return 0
			}
		}
		if n < 2 && k&isUpper == 0 || n >= 2 && n < 4 && k&isDigit == 0 {
			return 0
		}
		account[n] = c
		n++
		i = min(i+width, to)
		if n == 2 {
			if most = ibanLength(account[0], account[1]); most == 0 {
				return 0
			}
		}
		if n == most {
			if i < to {
				if c, _, _ = char(x.s, i, x.free); kinds[c]&isAlnum != 0 {
					return 0
				}
			}
			if mod97(account[:n]) == 1 {
				return i
			}
			return 0
		}
	}
	return 0
}

// mod97 is ISO 7064's check over the number with its first four characters
// behind the rest, a letter being 10 to 35.
func mod97(a []byte) int {
	sum := 0
	for i := range len(a) {
		c := a[(i+4)%len(a)]
		if c >= 'A' {
			sum = (sum*100 + int(c-'A') + 10) % 97
		} else {
			sum = (sum*10 + int(c-'0')) % 97
		}
	}
	return sum
}

// ibanLength is how many characters a country's numbers have, 0 where there are
// none (SWIFT's IBAN registry, release 99).
func ibanLength(a, b byte) int {
	switch string([]byte{a, b}) {
	case "NO":
		return 15
	case "BE":
		return 16
	case "DK", "FK", "FI", "FO", "GL", "NL", "SD":
		return 18
	case "MK", "SI":
		return 19
	case "AT", "BA", "EE", "KZ", "LT", "LU", "XK", "MN":
		return 20
	case "CH", "CR", "HR", "LI", "LV":
		return 21
	case "BG", "BH", "DE", "GB", "GE", "IE", "ME", "RS", "VA":
		return 22
	case "AE", "GI", "IL", "IQ", "OM", "SO", "TL":
		return 23
	case "AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG":
		return 24
	case "LY", "PT", "ST":
		return 25
	case "IS", "TR":
		return 26
	case "BI", "DJ", "FR", "GR", "IT", "MC", "MR", "SM":
		return 27
	case "AL", "AZ", "BY", "CY", "DO", "GT", "HU", "LB", "NI", "PL", "SV", "HN":
		return 28
	case "BR", "EG", "PS", "QA", "UA", "YE":
		return 29
	case "JO", "KW", "MU":
		return 30
	case "MT", "SC":
		return 31
	case "LC":
		return 32
	case "RU":
		return 33
	}
	return 0
}
