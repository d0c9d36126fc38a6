package demo

import (
	"math"
	"strings"
)

// motifs are the pictures of the covers, by name.
func motifs() map[string]func(*canvas) {
	return map[string]func(*canvas){
		"ledger": drawLedger, "ferry": drawFerry, "windows": drawWindows, "target": drawTarget, "signal": drawSignal, "waves": drawWaves,
		"envelopes": drawEnvelopes, "petals": drawPetals, "doors": drawDoors, "tiles": drawTiles, "venn": drawVenn, "sun": drawSun,
		"moons": drawMoons, "orbits": drawOrbits, "rays": drawRays, "domes": drawDomes, "rain": drawRain, "dots": drawDots,
		"wheat": drawWheat, "pot": drawPot, "jars": drawJars, "loaf": drawLoaf, "citrus": drawCitrus, "leaves": drawLeaves,
		"bear": drawBear, "boat": drawBoat, "puddles": drawPuddles, "mouse": drawMouse, "owls": drawOwls, "bowl": drawBowl,
		"road": drawRoad, "gables": drawGables, "bands": drawBands, "trees": drawTrees, "crown": drawCrown, "contours": drawContours,
	}
}

func drawLedger(c *canvas) {
	for i := range 11 {
		y := 8 + float64(i)*16
		if i == 5 {
			c.line(16, y, 118, y, 3, c.a)
			c.line(132, y+10, 184, y+10, 3, c.a)
			continue
		}
		c.line(16, y, 184, y, 1, c.c)
	}
	c.line(132, 0, 132, c.h, 1, c.c)
	for i := range 10 {
		width := 14 + c.dice.Float64()*26
		c.rectOn(182-width, 14+float64(i)*16, width, 4, c.b)
		if i != 5 && i%3 != 2 {
			c.rectOn(18, 14+float64(i)*16, 30+c.dice.Float64()*60, 4, c.b)
		}
	}
	c.circle(158, c.h-34, 22, c.a)
}

func drawFerry(c *canvas) {
	c.circle(150, 30, 18, c.a)
	for range 14 {
		c.circle(10+c.dice.Float64()*180, 4+c.dice.Float64()*50, .9, c.ink)
	}
	c.poly(c.ink, 30, 86, 172, 86, 154, 116, 44, 116)
	c.rectOn(56, 66, 84, 20, c.ink)
	c.rectOn(70, 50, 52, 16, c.ink)
	c.poly(c.c, 92, 30, 110, 30, 108, 50, 90, 50)
	for i := range 9 {
		fill := c.b
		if i == 6 {
			fill = c.a
		}
		c.rectOn(61+float64(i)*8.6, 72, 4.6, 7, fill)
	}
	for i := range 4 {
		c.path([]string{c.b, "#1a2b48", "#16253f", "#121f36"}[i], wave(c.w, c.h, 112+float64(i)*15, 4, 46+float64(i)*7, float64(i)))
	}
	c.line(138, 128, 166, 128, 2, c.a)
	c.line(144, 141, 162, 141, 2, c.a)
}

func drawWindows(c *canvas) {
	for row := range 7 {
		for col := range 6 {
			fill := c.b
			switch {
			case row == 3 && col == 4:
				fill = c.a
			case c.dice.IntN(4) == 0:
				fill = c.c
			}
			c.rectOn(16+float64(col)*29, 14+float64(row)*26, 21, 17, fill)
		}
	}
	// Somebody stands in the lit one.
	c.circle(142, 98, 3.2, c.ground)
	c.rectOn(138.5, 101.5, 7, 8, c.ground)
}

func drawTarget(c *canvas) {
	x, y := c.w/2, c.h/2+3
	for i, r := range []float64{88, 72, 55, 38, 21} {
		c.circle(x, y, r, []string{c.c, c.b}[i%2])
	}
	for i := range 8 {
		turn := float64(i) * math.Pi / 4
		c.circle(x+63.5*math.Cos(turn), y+63.5*math.Sin(turn), 6.5, c.a)
	}
	c.circle(x, y, 6.5, c.a)
}

func drawSignal(c *canvas) {
	c.rectOn(0, 0, c.w, c.h, c.b)
	for i := range 9 {
		c.ring(c.w/2, 236, 14+float64(i)*20, 5, c.c)
	}
	c.poly(c.a, 96, 236, 104, 236, 116, 300, 84, 300)
	c.circle(c.w/2, 232, 9, c.a)
}

func drawWaves(c *canvas) {
	c.circle(140, 42, 26, c.c)
	for i := range 6 {
		fill := []string{"#a9bcc4", "#86a1ad", "#5f8396", c.a, "#1c3c4e", c.b}[i]
		c.path(fill, wave(c.w, c.h, 50+float64(i)*21, 6, 70-float64(i)*4, float64(i)*1.7))
	}
}

// wave is everything under a sine that runs across at height y.
func wave(w, h, y, amplitude, length, phase float64) string {
	var d strings.Builder
	d.WriteString("M0 " + n(h))
	for x := 0.0; x <= w; x += 5 {
		d.WriteString("L" + n(x) + " " + n(y+amplitude*math.Sin(x/length*2*math.Pi+phase)))
	}
	d.WriteString("L" + n(w) + " " + n(h) + "z")
	return d.String()
}

func drawMoons(c *canvas) {
	c.circle(124, 92, 66, c.b)
	c.circle(124, 92, 66*.72, "#6f60dd")
	c.circle(52, 48, 24, c.a)
	c.circle(60, 42, 20, c.ground)
	c.circle(166, 34, 11, c.c)
	for range 30 {
		c.circle(c.dice.Float64()*200, c.dice.Float64()*110, .5+c.dice.Float64(), c.ink)
	}
	c.path("#0c0a28", wave(c.w, c.h, 128, 5, 90, 2))
	c.path("#f5d8a8", wave(c.w, c.h, 150, 3, 60, 1))
}

func drawOrbits(c *canvas) {
	for i := range 5 {
		c.printf(`<ellipse cx="100" cy="96" rx="%s" ry="%s" fill="none" stroke="%s" stroke-width="1.6" transform="rotate(-24 100 96)"/>`,
			n(34+float64(i)*21), n(13+float64(i)*9), c.c)
	}
	c.circle(100, 96, 22, c.a)
	c.path(c.c, "M78 96a22 22 0 0 0 44 0z")
	c.circle(41, 110, 7, c.b)
	c.circle(157, 46, 10, c.ink)
	c.circle(172, 93, 4, c.b)
	c.rectOn(60, 44, 5, 5, c.a)
	c.rectOn(128, 140, 6, 3, c.ink)
}

func drawRays(c *canvas) {
	c.rectOn(0, 0, c.w, c.h, c.b)
	for i := range 19 {
		turn := math.Pi * (float64(i) - .25) / 18
		next := turn + math.Pi/36
		fill := c.a
		if i%3 == 0 {
			fill = c.c
		}
		c.poly(fill, 100, 300, 100-360*math.Cos(turn), 300-360*math.Sin(turn), 100-360*math.Cos(next), 300-360*math.Sin(next))
	}
	c.circle(100, 300, 62, c.ground)
	c.circle(100, 300, 40, c.c)
}

func drawDomes(c *canvas) {
	c.path(c.b, "M0 30L34 18L70 34L112 12L150 30L200 16V172H0z")
	for i, x := range []float64{46, 108, 160} {
		r := []float64{40, 52, 34}[i]
		c.printf(`<path d="M%s 132a%s %[2]s 0 0 1 %s 0z" fill="%s" opacity=".9"/>`, n(x-r), n(r), n(2*r), c.a)
		for k := range 5 {
			px := x - r*.62 + float64(k)*r*.31
			tall := r * (.35 + .12*float64((k*7+i*3)%4))
			c.line(px, 131, px, 131-tall, 2, "#12624c")
			c.ellipse(px-3, 131-tall*.6, 5, 2.2, 30, c.c)
			c.ellipse(px+3, 131-tall*.85, 5, 2.2, -30, c.c)
		}
		c.ring(x, 132-r*.35, 2.6, 2.6, "#ff6b57")
	}
	c.rectOn(0, 132, c.w, 40, "#e9fbff")
	c.path("#bfe6ee", wave(c.w, c.h, 150, 4, 70, 1))
}

func drawRain(c *canvas) {
	for col := range 25 {
		x := 4 + float64(col)*8
		y := -10 + c.dice.Float64()*20
		for y < c.h {
			length := 6 + c.dice.Float64()*34
			c.line(x, y, x, y+length, 4, []string{c.a, c.a, c.b, c.a, c.c}[c.dice.IntN(5)])
			y += length + 10
		}
	}
}

func drawDots(c *canvas) {
	for row := range 11 {
		for col := range 13 {
			x, y := 4+float64(col)*16, 8+float64(row)*16
			away := math.Hypot(x-100, y-88)
			r := 7.4 - away/17
			if r < .9 {
				r = .9
			}
			fill := c.a
			if away < 34 {
				fill = c.b
			}
			c.circle(x, y, r, fill)
		}
	}
}
