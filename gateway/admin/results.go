package admin

import (
	"context"

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
	Since    moment              `json:"since,omitzero"`
	Compared string              `json:"comparedWith"`
	Variants []variantResultView `json:"variants"`
}

type variantResultView struct {
	Variant     string    `json:"variant"`
	Holdout     bool      `json:"holdout"`
	Persons     int64     `json:"persons"`
	Conversions int64     `json:"conversions"`
	Value       float64   `json:"value"`
	Rate        Interval  `json:"rate"`
	Mean        Interval  `json:"mean"`
	Difference  *Interval `json:"difference,omitempty"`
	Best        float64   `json:"bestProbability"`
}

// serveResults tells numbers of persons, and nobody.
func (c *call) serveResults() *failure {
	k, f := c.knowledge()
	if f != nil {
		return f
	}
	name, f := c.named(KindPlacement)
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
		version := resultsVersionView{x.Version, moment(x.Since), x.Compared, []variantResultView{}}
		for _, y := range x.Variants {
			version.Variants = append(version.Variants, variantResultView{y.Name, y.Holdout, y.Persons, y.Conversions, y.Value, y.Rate, y.Mean, y.Difference, y.Best})
		}
		v.Versions = append(v.Versions, version)
	}
	return c.encode(fasthttp.StatusOK, v)
}
