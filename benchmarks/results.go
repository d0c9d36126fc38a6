package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/reuna/reuna/benchmarks/measure"
	"github.com/reuna/reuna/benchmarks/serve"
)

// Report is everything that a run has found; its JSON is kept beside the code.
type Report struct {
	Environment measure.Environment `json:"environment"`
	Settings    Settings            `json:"settings"`
	AnswerBytes int                 `json:"answerBytes"`    // body of an interact answer, on average
	Foreign     float64             `json:"foreignPercent"` // of the machine's processor time, taken by others during the rounds
	Cost        []Cost              `json:"cost"`
	Latency     Latency             `json:"latency"`
	Disk        DiskUse             `json:"disk"`
	Memory      MemoryUse           `json:"memory"`
}

// Settings are how the run was made.
type Settings struct {
	Rounds       int     `json:"rounds"`
	RoundSeconds float64 `json:"roundSeconds"`
	Connections  int     `json:"connections"`
	Visitors     int     `json:"visitors"`
	Seed         uint64  `json:"seed"`
}

// Names of the costs.
const (
	costInteract = "interact"
	costBatch    = "interact, 20 events"
	costProfile  = "profile, read only"
)

// Cost is processor time of the server in a closed loop. The gateway's is for
// each event (for each request when it only reads), the bare handler's for each
// request. The ratio is taken pair by pair.
type Cost struct {
	Name          string         `json:"name"`
	GatewayMicros measure.Spread `json:"gatewayMicros"`
	BareMicros    measure.Spread `json:"bareMicros"`
	Ratio         measure.Spread `json:"ratio"`
	GatewayRate   measure.Spread `json:"gatewayRate"` // requests a second at saturation
	BareRate      measure.Spread `json:"bareRate"`
}

func newCost(name string, batch int, pairs []pair) Cost {
	of := func(number func(*pair) float64) measure.Spread {
		values := make([]float64, len(pairs))
		for i := range pairs {
			values[i] = number(&pairs[i])
		}
		return measure.Of(values)
	}
	ours := func(p *pair) float64 { return p.gateway.PerRequest() / float64(batch) }
	return Cost{
		Name:          name,
		GatewayMicros: of(ours),
		BareMicros:    of(func(p *pair) float64 { return p.bare.PerRequest() }),
		Ratio:         of(func(p *pair) float64 { return ours(p) / p.bare.PerRequest() }),
		GatewayRate:   of(func(p *pair) float64 { return p.gateway.Rate() }),
		BareRate:      of(func(p *pair) float64 { return p.bare.Rate() }),
	}
}

// Latency is what both sides did on the same schedule, at half of what the
// gateway can do. Times count from the schedule.
type Latency struct {
	Rate    float64     `json:"rate"` // requests a second
	Gateway Percentiles `json:"gateway"`
	Bare    Percentiles `json:"bare"`
}

// Percentiles are in milliseconds, each over the rounds.
type Percentiles struct {
	P50  measure.Spread `json:"p50"`
	P99  measure.Spread `json:"p99"`
	P999 measure.Spread `json:"p999"`
	Late measure.Spread `json:"late"` // percent of the requests that left over 1 ms late
}

func newLatency(rate float64, pairs []pair) Latency {
	of := func(side func(*pair) *serve.Sample) Percentiles {
		spread := func(number func(*serve.Sample) float64) measure.Spread {
			values := make([]float64, len(pairs))
			for i := range pairs {
				values[i] = number(side(&pairs[i]))
			}
			return measure.Of(values)
		}
		at := func(p float64) measure.Spread {
			return spread(func(s *serve.Sample) float64 { return serve.Micros(s.Percentile(p)) / 1000 })
		}
		return Percentiles{at(50), at(99), at(99.9), spread(func(s *serve.Sample) float64 { return 100 * float64(s.Late) / float64(s.Requests) })}
	}
	return Latency{
		Rate:    rate,
		Gateway: of(func(p *pair) *serve.Sample { return &p.gateway }),
		Bare:    of(func(p *pair) *serve.Sample { return &p.bare }),
	}
}

// DiskUse is bytes for each acknowledged event, over the whole run, once the
// gateway has drained and ended.
type DiskUse struct {
	Events   int64   `json:"events"`
	Kept     float64 `json:"keptPerEvent"`     // the tables, once the write-ahead logs have been written into them
	Length   float64 `json:"lengthPerEvent"`   // what the data folder's files have grown by
	Occupied float64 `json:"occupiedPerEvent"` // what the disk holds for them, preallocated blocks included
	Written  float64 `json:"writtenPerEvent"`  // what was sent to the disk on the way
}

// MemoryUse is resident memory in bytes.
type MemoryUse struct {
	Idle   uint64 `json:"idle"`   // fresh, before the first request
	Loaded uint64 `json:"loaded"` // after the last
	Peak   uint64 `json:"peak"`
}

// metric is one line of the table.
type metric struct {
	name   string
	unit   string
	value  measure.Spread
	goal   float64 // at most this; 0: no goal
	digits int
}

// metrics lists the report's figures; the goals are those of the project's
// performance design.
func (r *Report) metrics() []metric {
	var list []metric
	goals := map[string]float64{costInteract: 2.5, costBatch: 0.8, costProfile: 1.3}
	for _, c := range r.Cost {
		unit := "µs/event"
		if c.Name == costProfile {
			unit = "µs/request"
		}
		list = append(list,
			metric{name: c.Name + ": gateway CPU", unit: unit, value: c.GatewayMicros, digits: 1},
			metric{name: c.Name + ": bare CPU", unit: "µs/request", value: c.BareMicros, digits: 1},
			metric{name: c.Name + ": ratio", unit: "×", value: c.Ratio, goal: goals[c.Name], digits: 2},
			metric{name: c.Name + ": gateway at saturation", unit: "requests/s", value: c.GatewayRate},
			metric{name: c.Name + ": bare at saturation", unit: "requests/s", value: c.BareRate},
		)
	}
	for _, side := range []struct {
		name  string
		p     Percentiles
		goals [3]float64
	}{{"gateway", r.Latency.Gateway, [3]float64{0.5, 2, 8}}, {"bare", r.Latency.Bare, [3]float64{}}} {
		list = append(list,
			metric{name: "latency p50, " + side.name, unit: "ms", value: side.p.P50, goal: side.goals[0], digits: 2},
			metric{name: "latency p99, " + side.name, unit: "ms", value: side.p.P99, goal: side.goals[1], digits: 2},
			metric{name: "latency p99.9, " + side.name, unit: "ms", value: side.p.P999, goal: side.goals[2], digits: 2},
			metric{name: "sent late, " + side.name, unit: "%", value: side.p.Late, digits: 2},
		)
	}
	one := func(v float64) measure.Spread { return measure.Of([]float64{v}) }
	return append(list,
		metric{name: "disk: kept", unit: "B/event", value: one(r.Disk.Kept), goal: 200},
		metric{name: "disk: length", unit: "B/event", value: one(r.Disk.Length)},
		metric{name: "disk: occupied", unit: "B/event", value: one(r.Disk.Occupied)},
		metric{name: "disk: written", unit: "B/event", value: one(r.Disk.Written)},
		metric{name: "memory: idle", unit: "MB", value: one(float64(r.Memory.Idle) / 1e6), goal: 100, digits: 1},
		metric{name: "memory: loaded", unit: "MB", value: one(float64(r.Memory.Loaded) / 1e6), digits: 1},
		metric{name: "memory: peak", unit: "MB", value: one(float64(r.Memory.Peak) / 1e6), digits: 1},
	)
}

const (
	resultFile  = "interact.json"
	pictureFile = "interact.svg"
)

// loadReport reads an earlier run's report; nil when there is none.
func loadReport(dir string) (*Report, error) {
	data, err := os.ReadFile(filepath.Join(dir, resultFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &Report{}
	if err := json.Unmarshal(data, r); err != nil {
		return nil, fmt.Errorf("%s is not a report (%w): remove it to begin anew", filepath.Join(dir, resultFile), err)
	}
	return r, nil
}

// save writes the report and its picture.
func (r *Report) save(dir string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, resultFile), append(data, '\n'), 0o644); err != nil {
		return err
	}
	file, err := os.Create(filepath.Join(dir, pictureFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	_, err = r.picture().WriteTo(file)
	return err
}
