package trait

// steps is into how many steps a half-life is cut, for scores that rules compare
// with numbers. In one, a score fades by 0.7 %.
const steps = 96

// Fade makes `to` what c would be at the beginning of the step that it is in, of a
// 96th of the half-life of Affinity, at least a second: its Affinity has scores
// that stand still until the time that is returned (ms since 1970 UTC), but for
// events. 0 when there is no affinity.
func (c *Computed) Fade(to *Computed) (until int64) {
	if c.set == nil || c.p == nil || c.set.first < 0 {
		to.Reset(nil, nil, 0)
		return 0
	}
	step := max(1000, c.set.defs[c.set.first].halfLife().Milliseconds()/steps)
	begin := c.now - c.now%step
	to.Reset(c.set, c.p, begin)
	return begin + step
}
