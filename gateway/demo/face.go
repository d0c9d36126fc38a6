package demo

import "strings"

// The two families whose widths are nearly the same on every system: Arial and
// Times each have metric twins, so text that was measured here fits there.
const (
	sansFamily  = "Helvetica Neue,Helvetica,Arial,Liberation Sans,sans-serif"
	serifFamily = "Times New Roman,Times,Liberation Serif,serif"
)

// face is a way of setting a title.
type face struct {
	family, weight string
	capitals       bool
	spacing        float64 // letter spacing, in ems
	leading        float64 // line height, in ems
	lower, upper   string  // widths of a–z and A–Z, see width
}

// Widths of the letters a–z in thirtieths of an em, one byte each ('A' is 1):
// rounded up from the public metrics of Helvetica Bold and Times Bold.
const (
	sansLower  = "QSQSQJSSIIQI[SSSSLQJSQXQQO"
	sansUpper  = "VVVVUSXVIQVSYVXUXVUSVU]UUS"
	serifLower = "OQNQNJOQIJQIYQOQQNLJQOVOON"
	serifUpper = "VUVVUSXXLOXU]VXSXVQUVV^VVU"
)

func faceOf(category string) face {
	sans := face{family: sansFamily, weight: "700", spacing: -.02, leading: 1.02, lower: sansLower, upper: sansUpper}
	serif := face{family: serifFamily, weight: "700", spacing: -.01, leading: 1.04, lower: serifLower, upper: serifUpper}
	switch category {
	case "thrillers":
		sans.capitals = true
		return sans
	case "romance", "history", "cooking":
		return serif
	}
	return sans
}

// width is how wide s is set at size 1, in ems, never too little for the
// families named above.
func (f face) width(s string) float64 {
	total := 0.0
	for _, r := range s {
		switch {
		case r >= 'a' && r <= 'z':
			total += float64(f.lower[r-'a']-'@') / 30
		case r >= 'A' && r <= 'Z':
			total += float64(f.upper[r-'A']-'@') / 30
		case r == ' ' || r == ',' || r == '.' || r == '\'':
			total += .28
		case r == '-':
			total += .34
		case r == '&':
			total += .78
		default:
			total += .62
		}
		total += f.spacing
	}
	return total
}

// fit breaks text into lines and finds the largest size at which they stand in
// a place of w by h units. A word that is too long for its line makes all of
// them smaller; nothing is cut.
func (f face) fit(text string, w, h float64) (lines []string, size float64) {
	words := strings.Fields(text)
	const largest, smallest = 40.0, 8.0
	for size = largest; size > smallest; size -= .5 {
		lines = lines[:0]
		line, wide := "", false
		for _, word := range words {
			if line != "" && f.width(line+" "+word)*size > w {
				lines = append(lines, line)
				line = ""
			}
			if line != "" {
				line += " "
			}
			line += word
			wide = wide || f.width(line)*size > w
		}
		lines = append(lines, line)
		if !wide && float64(len(lines))*size*f.leading <= h {
			return lines, size
		}
	}
	return lines, size
}
