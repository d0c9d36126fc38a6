package rule

import (
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"
)

// Sizes that a rule's cost is told from. Lists and maps that are longer are an
// error to the rule that walks over one; texts may be longer (an event has 32
// KiB by default), since no rule can do worse with them than read them.
const (
	textSize = 2048
	maxItems = 1000 // of a list or an object in JSON
	madeSize = 8192 // of a list that the rule itself makes of others
)

type estimator struct {
	size func(path []string) uint64
}

// EstimateSize implements checker.CostEstimator.
func (e *estimator) EstimateSize(n checker.AstNode) *checker.SizeEstimate {
	path := n.Path()
	if e.size != nil && len(path) > 0 {
		if most := e.size(path); most > 0 {
			return &checker.SizeEstimate{Max: most}
		}
	}
	switch kind := n.Type().Kind(); {
	case kind != types.ListKind && kind != types.MapKind: // of any kind, if it is of any type
		return &checker.SizeEstimate{Max: textSize}
	case len(path) == 0:
		return &checker.SizeEstimate{Max: madeSize}
	}
	return &checker.SizeEstimate{Max: maxItems}
}

// EstimateCallCost implements checker.CostEstimator: CEL's own figures.
func (e *estimator) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
