package demo

import (
	"math"
	"strings"
)

func drawBear(c *canvas) {
	c.circle(52, 54, 24, c.a)
	c.circle(148, 54, 24, c.a)
	c.circle(52, 54, 12, c.b)
	c.circle(148, 54, 12, c.b)
	c.ellipse(100, 108, 74, 70, 0, c.a)
	c.ellipse(100, 128, 34, 27, 0, c.b)
	c.ellipse(100, 114, 12, 8, 0, c.ink)
	c.stroke(c.ink, 3, "M100 122v10q-8 10-17 4M100 132q8 10 17 4")
	c.stroke(c.ink, 4, "M62 96q8 8 16 0M122 96q8 8 16 0") // asleep already
	c.circle(166, 142, 27, c.c)
	c.circle(166, 142, 20, c.b)
	c.stroke(c.ink, 3, "M166 142V129M166 142l9 6")
}

func drawBoat(c *canvas) {
	c.circle(160, 26, 16, "#fff3b0")
	c.poly(c.a, 100, 16, 140, 92, 60, 92)
	c.poly("#dcebf5", 100, 16, 140, 92, 100, 92)
	c.poly(c.a, 30, 84, 60, 92, 140, 92, 170, 84, 146, 124, 54, 124)
	c.poly("#dcebf5", 100, 92, 140, 92, 170, 84, 146, 124, 100, 124)
	for i := range 5 {
		c.line(72, 62+float64(i)*6, 92, 62+float64(i)*6, 1, "#9fb4c4")
	}
	c.poly(c.c, 100, 2, 122, 9, 100, 17)
	for i := range 4 {
		c.path([]string{"#4fa3d9", c.b, "#1c67a0", c.ink}[i], wave(c.w, c.h, 116+float64(i)*15, 5, 50, float64(i)*2))
	}
}

func drawPuddles(c *canvas) {
	c.ellipse(100, 154, 92, 28, 0, c.a)
	c.ellipse(100, 152, 62, 18, 0, "#6bb9e4")
	c.ellipse(100, 150, 34, 10, 0, "#a8dbf5")
	for i, x := range []float64{64, 104} {
		c.printf(`<path d="M%s 46h30v74h18a12 12 0 0 1 12 12v10H%[1]sz" fill="%s"/>`, n(x), []string{c.b, "#ffc93c"}[i])
		c.rectOn(x-2, 44, 34, 9, c.c)
	}
	for i := range 12 {
		x, y := 12+c.dice.Float64()*176, 6+c.dice.Float64()*110
		if x > 54 && x < 170 && y > 22 {
			continue
		}
		c.path([]string{c.a, c.c}[i%2], "M"+n(x)+" "+n(y)+"q-7 11 0 14q7-3 0-14z")
	}
}

func drawMouse(c *canvas) {
	for i := range 3 {
		c.ring(100, 128, 92+float64(i)*15, 4, c.c)
	}
	c.circle(44, 66, 38, c.a)
	c.circle(156, 66, 38, c.a)
	c.circle(44, 66, 24, c.b)
	c.circle(156, 66, 24, c.b)
	c.ellipse(100, 126, 60, 58, 0, c.a)
	c.circle(78, 110, 6, c.ink)
	c.circle(122, 110, 6, c.ink)
	c.ellipse(100, 148, 24, 20, 0, c.ink)
	c.ellipse(100, 158, 14, 9, 0, c.b)
	c.ellipse(100, 122, 7, 5, 0, c.b)
}

func drawOwls(c *canvas) {
	fills := []string{c.a, c.b, "#3aa6a0", c.b, "#e5604d", c.a, "#3aa6a0", c.a, c.b}
	for i := range 9 {
		x, y := 38+float64(i%3)*62, 26+float64(i/3)*58
		c.printf(`<path d="M%s %sv-34l10 8h24l10-8v34a22 22 0 0 1-44 0z" fill="%s"/>`, n(x-22), n(y+8), fills[i])
		for side := -1.0; side <= 1; side += 2 {
			c.circle(x+side*9, y, 9, c.c)
			c.circle(x+side*9+float64((i*5)%3-1)*2, y+float64((i*7)%3-1)*2, 4, c.ink)
		}
		c.poly("#ffd166", x-4, y+9, x+4, y+9, x, y+17)
	}
}

func drawBowl(c *canvas) {
	for range 26 {
		c.circle(c.dice.Float64()*200, c.dice.Float64()*70, .6+c.dice.Float64()*1.2, c.a)
	}
	c.stroke(c.c, 5, "M78 58q-10-10 0-20t0-20M122 58q-10-10 0-20t0-20")
	c.ellipse(100, 84, 82, 20, 0, c.c)
	c.ellipse(100, 85, 26, 9, 0, c.a)
	c.ellipse(92, 83, 5, 1.8, 0, "#ffe27a")
	c.ellipse(107, 87, 7, 2, 0, "#ffe27a")
	c.path(c.b, "M18 84A82 20 0 0 0 182 84Q176 160 128 166H72Q24 160 18 84z")
	for i := range 6 {
		c.circle(46+float64(i)*22, 122+8*math.Sin(float64(i)), 6, "#fff3c9")
	}
}

func drawRoad(c *canvas) {
	c.circle(146, 34, 24, c.c)
	c.path("#b7b98a", "M0 70Q50 40 104 62T200 50V172H0z")
	c.path(c.b, "M0 92Q70 66 120 90T200 84V172H0z")
	c.path(c.a, "M112 62q-26 14-8 26t-30 30q-30 22-34 54h90q-18-28 4-52t-10-40q-14-8-6-18z")
	for i, y := range []float64{154, 132, 114, 100} {
		c.ellipse([]float64{84, 92, 104, 108}[i], y, 5-float64(i), 3.4-float64(i)*.6, 0, "#fff1c9")
	}
}

func drawGables(c *canvas) {
	fills := []string{c.a, c.b, c.c, c.a, "#e0c9a6"}
	for i := range 5 {
		x, top := float64(i)*40, []float64{40, 56, 30, 50, 38}[i]
		// A stepped gable, the town's signature.
		c.printf(`<path d="M%s 140V%sh6v-8h6v-8h6v-8h4v-6h0h0v0h-4h20h-4v6h4v8h6v8h6v8h0V140z" fill="%s"/>`, n(x), n(top+24), fills[i])
		for row := range 3 {
			for col := range 2 {
				c.rectOn(x+8+float64(col)*14, top+34+float64(row)*24, 9, 14, []string{"#fbf3e0", c.ink}[(row+col+i)%2])
			}
		}
	}
	c.rectOn(0, 140, c.w, 44, c.ink)
	for i := range 9 {
		c.line(6+c.dice.Float64()*160, 148+float64(i)*4, 26+c.dice.Float64()*160, 148+float64(i)*4, 2, fills[i%5])
	}
}

func drawBands(c *canvas) {
	fills := []string{c.a, c.b, c.c}
	for i := range 15 {
		y := float64(i) * 20
		c.rectOn(0, y, c.w, 20, fills[i%3])
		switch i % 3 {
		case 0:
			for k := range 11 {
				c.circle(float64(k)*20, y+10, 4, c.ground)
			}
		case 1:
			c.stroke(c.ground, 2.5, "M-5 "+n(y+14)+strings.Repeat("l10-8l10 8", 11))
		case 2:
			for k := range 14 {
				c.rectOn(float64(k)*15+3, y+6, 8, 8, c.ink)
			}
		}
	}
}

func drawTrees(c *canvas) {
	c.circle(40, 30, 14, c.c)
	for row, fill := range []string{"#a9bac4", c.a, c.b} {
		for i := range 9 - row {
			x := float64(i)*(26+float64(row)*5) - 6 + c.dice.Float64()*8
			base := 112 + float64(row)*26
			tall := 50 + c.dice.Float64()*22 + float64(row)*8
			c.poly(fill, x, base, x+11, base-tall, x+22, base)
		}
	}
	c.path(c.c, wave(c.w, c.h, 150, 5, 130, 1))
	for range 46 {
		c.circle(c.dice.Float64()*200, c.dice.Float64()*150, .8+c.dice.Float64()*1.4, c.c)
	}
}

func drawCrown(c *canvas) {
	c.circle(100, 92, 76, c.b)
	c.poly(c.a, 48, 122, 40, 60, 70, 88, 100, 42, 130, 88, 160, 60, 152, 122)
	c.rectOn(48, 128, 104, 10, c.c)
	for i, x := range []float64{40, 100, 160} {
		c.circle(x, []float64{56, 36, 56}[i], 7, c.c)
	}
	for i := range 7 {
		x := 58 + float64(i)*14
		c.poly(c.ground, x, 108, x+5, 114, x, 120, x-5, 114)
	}
}

func drawContours(c *canvas) {
	for i := range 8 {
		var d strings.Builder
		for k := range 73 {
			turn := float64(k) * math.Pi / 36
			r := (104 - float64(i)*12.5) * (1 + .13*math.Sin(3*turn+float64(i)*.25) + .07*math.Cos(5*turn-float64(i)*.4))
			if k > 0 {
				d.WriteString("L")
			}
			d.WriteString(n(104+r*math.Cos(turn)) + " " + n(92+r*.86*math.Sin(turn)))
		}
		if i == 0 {
			c.path(c.c, "M"+d.String()+"z")
		}
		c.stroke(c.a, 1.6, "M"+d.String()+"z")
	}
	c.stroke(c.b, 2.5, "M16 166q40-16 54-44t44-34")
	c.stroke(c.b, 4, "M108 82l14 14M122 82l-14 14")
}
