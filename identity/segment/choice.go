package segment

// choice is one computed text by which several audiences are told apart, such as those of
// who likes which category: it is read once for all of them.
type choice struct {
	value   int // the computed trait's place among them
	any     mask
	members []choosing
}

// choosing is an audience that says computed.x == 'text', and nothing else.
type choosing struct {
	place int
	text  string
}

// fewChoosing is how many audiences are not worth to be judged together.
const fewChoosing = 3

// choices finds them.
func (c *compiler) choices() (list []choice) {
	found := map[int]int{}
	for place := range c.list {
		a := &c.list[place]
		if a.Held || a.Site != "" {
			continue
		}
		u, text, ok := a.rule.Equals()
		if !ok || u.Name != "computed" {
			continue
		}
		value, ok := c.env.traits.Text(u.Member)
		if !ok {
			continue
		}
		at, known := found[value]
		if !known {
			at = len(list)
			found[value] = at
			list = append(list, choice{value: value, any: make(mask, (len(c.list)+63)/64)})
		}
		list[at].any.set(place)
		list[at].members = append(list[at].members, choosing{place, text})
	}
	n := 0
	for _, x := range list {
		if len(x.members) >= fewChoosing {
			list[n] = x
			n++
		}
	}
	return list[:n]
}

// wanted says that any of them is to be judged.
func (x *choice) wanted(todo mask) bool {
	for i, w := range todo {
		if w&x.any[i] != 0 {
			return true
		}
	}
	return false
}

// choose judges those of a choice that are to be judged.
func (s *Set) choose(sub *Subject, w *judging, x *choice) (moved bool) {
	sub.clock.At(sub.Now)
	text := ""
	if sub.PlacesOf(s.traits) {
		text = sub.TextAt(x.value)
	}
	for i := range x.members {
		m := &x.members[i]
		if !w.todo.has(m.place) {
			continue
		}
		w.todo[m.place/64] &^= 1 << (m.place % 64)
		sub.judged++
		w.holds(m.place, sub.clock.Until)
		if (m.text == text) != w.in.has(m.place) {
			w.turn(m.place)
			moved = true
		}
	}
	return moved
}

// turn notes that an audience holds where it did not, or the other way round: who asks for
// it is to be judged.
func (w *judging) turn(place int) {
	w.in[place/64] ^= 1 << (place % 64)
	w.todo.add(w.set.askers[place])
}
