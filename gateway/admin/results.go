package admin

import (
	"context"
	"math"

	"github.com/valyala/fasthttp"
)

type resultsView struct {
	Placement string               `json:"placement"`
	Goal      string               `json:"goal,omitempty"`
	UpTo      uint64               `json:"upTo"`
	Behind    uint64               `json:"behind"`
	Versions  []resultsVersionView `json:"versions"`
}

type resultsVersionView struct {
	Version  int                 `json:"version"`
	First    moment              `json:"firstShown,omitzero"`
	Last     moment              `json:"lastShown,omitzero"`
	Several  int64               `json:"several"`
	Variants []variantResultView `json:"variants"`
}

type variantResultView struct {
	Variant     string          `json:"variant"`
	Holdout     bool            `json:"holdout"`
	Persons     int64           `json:"persons"`
	Conversions int64           `json:"conversions"`
	Value       float64         `json:"value"`
	Rate        intervalView    `json:"rate"`
	Worth       intervalView    `json:"worth"`
	Against     *comparisonView `json:"against,omitempty"`
	Best        float64         `json:"bestProbability"`
}

type comparisonView struct {
	Variant string       `json:"variant"`
	Holdout bool         `json:"holdout"`
	Rate    intervalView `json:"rate"`
	Worth   intervalView `json:"worth"`
}

// intervalView leaves out bounds that are not known.
type intervalView struct {
	Value float64  `json:"value"`
	Low   *float64 `json:"low,omitempty"`
	High  *float64 `json:"high,omitempty"`
}

func viewInterval(x Interval) intervalView {
	known := func(f float64) *float64 {
		if math.IsNaN(f) || math.IsInf(f, 0) {
			return nil
		}
		return &f
	}
	v := intervalView{Low: known(x.Low), High: known(x.High)}
	if known(x.Value) != nil {
		v.Value = x.Value
	}
	return v
}

// serveResults tells numbers of persons, and nobody.
func (c *call) serveResults() *failure {
	k, name, f := c.oneOf(KindPlacement)
	if f != nil {
		return f
	}
	ctx, cancel := context.WithTimeout(context.Background(), defineTime)
	defer cancel()
	r, err := k.Results(ctx, name)
	if err != nil {
		return c.unknown(KindPlacement, err)
	}
	v := resultsView{Placement: name, Goal: r.Goal, UpTo: r.Counted, Behind: r.Behind, Versions: []resultsVersionView{}}
	for _, x := range r.Versions {
		version := resultsVersionView{x.Version, moment(x.First), moment(x.Last), x.Several, []variantResultView{}}
		for _, y := range x.Variants {
			result := variantResultView{y.Name, y.Holdout, y.Persons, y.Conversions, y.Value, viewInterval(y.Rate), viewInterval(y.Worth), nil, y.Best}
			if a := y.Against; a != nil {
				result.Against = &comparisonView{a.Variant, a.Holdout, viewInterval(a.Rate), viewInterval(a.Worth)}
			}
			version.Variants = append(version.Variants, result)
		}
		v.Versions = append(v.Versions, version)
	}
	return c.encode(fasthttp.StatusOK, v)
}
