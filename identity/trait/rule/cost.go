package rule

import (
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"
)

// Sizes of what a rule meets, as upper bounds for telling its cost beforehand.
// Texts longer than this are rare (an event has 32 KiB by default), and the
// meter stops the rule that meets one.
const (
	textSize = 2048
	listSize = 256
)

type estimator struct {
	size func(path []string) uint64
}

// EstimateSize implements checker.CostEstimator.
func (e *estimator) EstimateSize(n checker.AstNode) *checker.SizeEstimate {
	if e.size != nil {
		if most := e.size(n.Path()); most > 0 {
			return &checker.SizeEstimate{Max: most}
		}
	}
	switch n.Type().Kind() {
	case types.ListKind, types.MapKind:
		return &checker.SizeEstimate{Max: listSize}
	}
	return &checker.SizeEstimate{Max: textSize}
}

// EstimateCallCost implements checker.CostEstimator: CEL's own figures.
func (e *estimator) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
