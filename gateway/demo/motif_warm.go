package demo

import "math"

func drawEnvelopes(c *canvas) {
	for i := range 4 {
		x, y := 18+float64(i%2)*34, 6+float64(i)*40
		fill, flap := c.a, c.b
		if i%2 == 1 {
			fill, flap = c.b, c.a
		}
		c.rectOn(x, y, 130, 66, fill)
		c.poly(flap, x, y, x+130, y, x+65, y+38)
		c.circle(x+65, y+36, 6, c.c)
	}
}

func drawPetals(c *canvas) {
	for i, at := range []struct{ x, y, r float64 }{{100, 84, 52}, {36, 140, 30}, {168, 146, 26}, {30, 34, 24}, {172, 36, 30}} {
		for k := range 8 {
			turn := float64(k)*45 + float64(i)*12
			rad := turn * math.Pi / 180
			fill := c.a
			if k%2 == 1 {
				fill = c.b
			}
			c.ellipse(at.x+at.r*.55*math.Cos(rad), at.y+at.r*.55*math.Sin(rad), at.r*.5, at.r*.2, turn, fill)
		}
		c.circle(at.x, at.y, at.r*.16, "#f4c95d")
	}
	for _, x := range []float64{66, 136} {
		c.ellipse(x, 164, 20, 7, x-100, c.c)
	}
}

func drawDoors(c *canvas) {
	c.rectOn(0, 150, c.w, 34, c.b)
	for i := range 2 {
		x, fill := 24+float64(i)*84, c.a
		if i == 1 {
			fill = c.c
		}
		c.printf(`<path d="M%s 150V66a34 34 0 0 1 68 0V150z" fill="%s"/>`, n(x), fill)
		c.printf(`<path d="M%s 92V68a24 24 0 0 1 48 0V92z" fill="%s"/>`, n(x+10), c.b)
		c.rectOn(x+10, 102, 20, 40, c.b)
		c.rectOn(x+38, 102, 20, 40, c.b)
		c.circle(x+34+[]float64{29, -29}[i], 97, 3.4, c.b)
	}
}

func drawTiles(c *canvas) {
	const side = 40
	for row := range 8 {
		for col := range 5 {
			x, y := float64(col*side), float64(row*side)
			c.rectOn(x, y, side, side, []string{c.c, c.ground}[(row+col)%2])
			for k := range 4 {
				cx, cy := x+float64(k%2)*side, y+float64(k/2)*side
				sx, sy := 1-2*float64(k%2), 1-2*float64(k/2)
				c.poly(c.a, cx, cy, cx+sx*18, cy+sy*6, cx+sx*6, cy+sy*18)
			}
			c.poly(c.b, x+20, y+11, x+29, y+20, x+20, y+29, x+11, y+20)
		}
	}
}

func drawVenn(c *canvas) {
	c.circle(74, 82, 58, c.a)
	c.circle(126, 82, 58, c.b)
	h := math.Sqrt(58*58 - 26*26)
	c.printf(`<path d="M100 %sA58 58 0 0 1 100 %sA58 58 0 0 1 100 %[1]sz" fill="%[3]s"/>`, n(82-h), n(82+h), c.c)
	for i := range 6 {
		c.line(22+float64(i)*31, 152, 14+float64(i)*31, 166, 3, []string{c.a, c.b}[i%2])
	}
}

func drawSun(c *canvas) {
	c.circle(100, 110, 74, c.a)
	for i := range 7 {
		c.rectOn(0, 102+float64(i)*11, c.w, 3.2+float64(i), []string{c.b, c.c}[i%2])
	}
	c.poly(c.ink, 128, 96, 160, 96, 154, 104, 134, 104)
	c.poly(c.ink, 143, 60, 143, 93, 160, 93)
}

func drawWheat(c *canvas) {
	for i, x := range []float64{36, 68, 100, 132, 164} {
		top := []float64{34, 14, 4, 20, 40}[i]
		c.line(x, top+20, 100+(x-100)*.5, 172, 2, c.b)
		for k := range 6 {
			y := top + float64(k)*13
			shift := (100 - x) * .5 * (y - top) / 172
			c.ellipse(x+shift-6, y+8, 8, 4, 58, c.a)
			c.ellipse(x+shift+6, y+8, 8, 4, -58, c.a)
		}
		c.ellipse(x, top-2, 8, 4, 90, c.a)
	}
	c.path(c.c, "M84 172q-6-22 10-34q-2 12 8 18q8-8 4-22q16 14 10 38z")
}

func drawPot(c *canvas) {
	for i := range 3 {
		x := 70 + float64(i)*30
		c.stroke(c.b, 5, "M"+n(x)+" 62q-12-12 0-24t0-24")
	}
	c.path(c.a, "M34 88H166V136a30 30 0 0 1-30 30H64a30 30 0 0 1-30-30z")
	c.rectOn(24, 76, 152, 14, c.c)
	c.stroke(c.c, 8, "M30 106H16M170 106H184")
	c.rectOn(52, 104, 8, 40, c.b)
	c.rectOn(0, 166, c.w, 4, c.c)
}

func drawJars(c *canvas) {
	fills := []string{c.a, c.b, c.c, c.b, c.c, c.a, c.c, c.a, c.b}
	c.rectOn(0, 0, c.w, c.h, "#dfe9d2")
	for i := range 9 {
		x, y := 12+float64(i%3)*61, 10+float64(i/3)*100
		c.rectOn(x+8, y, 38, 10, c.ink)
		c.printf(`<rect x="%s" y="%s" width="54" height="72" rx="10" fill="#fff"/>`, n(x), n(y+12))
		c.printf(`<rect x="%s" y="%s" width="46" height="54" rx="7" fill="%s"/>`, n(x+4), n(y+26), fills[i])
		for k := range 5 {
			c.circle(x+12+float64((k*17+i*5)%32), y+34+float64((k*23+i*7)%40), 4, "#ffffff55")
		}
		c.rectOn(0, y+84, c.w, 5, c.ink)
	}
}

func drawLoaf(c *canvas) {
	c.ellipse(100, 100, 84, 60, 0, c.b)
	c.ellipse(100, 94, 84, 58, 0, c.a)
	for i := range 4 {
		x := 52 + float64(i)*30
		c.stroke(c.c, 6, "M"+n(x)+" 118q8-24 18-46")
	}
	for range 40 {
		c.circle(30+c.dice.Float64()*140, 140+c.dice.Float64()*30, .6+c.dice.Float64()*1.3, c.c)
	}
}

func drawCitrus(c *canvas) {
	for i, at := range []struct{ x, y, r float64 }{{58, 58, 48}, {152, 104, 46}, {46, 148, 32}, {160, 20, 26}, {98, 164, 15}} {
		c.circle(at.x, at.y, at.r, c.b)
		c.circle(at.x, at.y, at.r*.9, c.ground)
		for k := range 8 {
			from := (float64(k)*45 + 4 + float64(i)*10) * math.Pi / 180
			to := from + 37*math.Pi/180
			r := at.r * .8
			c.printf(`<path d="M%s %sL%s %sA%s %[5]s 0 0 1 %[6]s %[7]sz" fill="%[8]s"/>`,
				n(at.x+at.r*.1*math.Cos((from+to)/2)), n(at.y+at.r*.1*math.Sin((from+to)/2)),
				n(at.x+r*math.Cos(from)), n(at.y+r*math.Sin(from)), n(r),
				n(at.x+r*math.Cos(to)), n(at.y+r*math.Sin(to)), c.a)
		}
	}
	c.ellipse(102, 22, 20, 8, -30, c.c)
	c.ellipse(98, 126, 18, 7, 50, c.c)
}

func drawLeaves(c *canvas) {
	c.stroke(c.b, 4, "M100 178V20")
	for i := range 6 {
		y := 34 + float64(i)*25
		reach := 30 + 9*float64(i)
		for side := -1.0; side <= 1; side += 2 {
			fill := c.a
			if (i+int(side))%3 == 0 {
				fill = c.b
			}
			c.path(fill, "M100 "+n(y+14)+"q"+n(side*reach*.3)+" -26 "+n(side*reach)+" -20q"+n(-side*reach*.2)+" 26 "+n(-side*reach)+" 20z")
		}
	}
	c.path(c.a, "M100 40q-14-16 0-36q14 20 0 36z")
	for _, at := range [][2]float64{{62, 26}, {142, 34}, {30, 66}, {172, 74}} {
		c.circle(at[0], at[1], 7, c.c)
	}
}
