package experiment

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/reuna/reuna/identity/wire"
)

// The parts of the state: "m" is the next trial's id, "t" and eight digits a
// trial, "p" and a hash a person.
const (
	metaPart   = "m"
	trialPart  = "t"
	personPart = "p"
)

const trialVersion = 1

func (t *trial) part() string { return fmt.Sprintf("%s%08x", trialPart, t.id) }

func (t *trial) append(dst []byte) ([]byte, error) {
	def, err := json.Marshal(&t.def)
	if err != nil {
		return nil, fmt.Errorf("experiment: %w", err)
	}
	dst = wire.AppendUint(append(dst, trialVersion), uint64(t.id))
	dst = wire.AppendText(dst, string(def))
	dst = wire.AppendInt(dst, t.several)
	dst = wire.AppendInt(dst, t.first)
	dst = wire.AppendInt(dst, t.last)
	dst = wire.AppendUint(dst, uint64(len(t.cells)))
	for i := range t.cells {
		c := &t.cells[i]
		dst = wire.AppendInt(dst, c.persons)
		dst = wire.AppendInt(dst, c.converted)
		dst = wire.AppendInt(dst, c.sum)
		dst = wire.AppendUint(dst, math.Float64bits(c.squares))
	}
	return dst, nil
}

func readTrial(record string) (*trial, error) {
	r := wire.NewReader(record)
	version := r.Byte()
	id := r.Uint()
	text := r.Text()
	several, first, last := r.Int(), r.Int(), r.Int()
	cells := make([]cell, 0, min(r.Count(), len(record)))
	for range cap(cells) {
		cells = append(cells, cell{persons: r.Int(), converted: r.Int(), sum: r.Int(), squares: math.Float64frombits(r.Uint())})
	}
	if !r.Done() || version != trialVersion || id > math.MaxUint32 {
		return nil, fmt.Errorf("experiment: a trial's record of %d bytes is corrupt", len(record))
	}
	var def Definition
	if err := json.Unmarshal([]byte(text), &def); err != nil {
		return nil, fmt.Errorf("experiment: a trial's definition: %w", err)
	}
	t, err := newTrial(uint32(id), def)
	if err != nil {
		return nil, fmt.Errorf("experiment: the goal of placement %q, version %d: %w", def.Placement, def.Version, err)
	}
	if len(cells) != len(t.cells) {
		return nil, fmt.Errorf("experiment: a trial of %d variants has %d counts", len(def.Variants), len(cells))
	}
	t.cells, t.several, t.first, t.last, t.changed = cells, several, first, last, false
	return t, nil
}
