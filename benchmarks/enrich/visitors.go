package enrich

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// readVisitors reads one release of user-agents: each agent once, with the sum
// of its weights and the kind of device that most of its visitors had.
func readVisitors(files map[string][]byte) ([]labelled, error) {
	text := files["dist/user-agents.json"]
	if zipped := files["src/user-agents.json.gz"]; zipped != nil {
		r, err := gzip.NewReader(bytes.NewReader(zipped))
		if err != nil {
			return nil, err
		}
		if text, err = readUpTo(r, maxFile); err != nil {
			return nil, err
		}
	}
	var rows []struct {
		Agent  string  `json:"userAgent"`
		Kind   string  `json:"deviceCategory"`
		Weight float64 `json:"weight"`
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		return nil, err
	}
	kinds := map[string]map[string]float64{}
	for _, r := range rows {
		if r.Agent == "" || r.Weight < 0 {
			return nil, fmt.Errorf("a visitor with agent %q and weight %g", r.Agent, r.Weight)
		}
		if kinds[r.Agent] == nil {
			kinds[r.Agent] = map[string]float64{}
		}
		kinds[r.Agent][r.Kind] += r.Weight
	}
	var all []labelled
	for agent, by := range kinds {
		l := labelled{agent: agent}
		most := -1.0
		for kind, weight := range by {
			l.weight += weight
			if weight > most || weight == most && kind < l.kind {
				l.kind, most = kind, weight
			}
		}
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b labelled) int { return strings.Compare(a.agent, b.agent) })
	return all, nil
}

// joinVisitors puts releases together: each agent once, its weight the mean of
// the releases', so that each release, whose visitors came in another year,
// counts as much as the others.
func joinVisitors(releases [][]labelled) []labelled {
	at := map[string]int{}
	var all []labelled
	for _, release := range releases {
		for _, l := range release {
			l.weight /= float64(len(releases))
			i, known := at[l.agent]
			if !known {
				at[l.agent] = len(all)
				all = append(all, l)
				continue
			}
			all[i].weight += l.weight
			all[i].kind = l.kind // the newest release's, which have the better data
		}
	}
	return all
}
