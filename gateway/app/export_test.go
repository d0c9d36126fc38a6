package app

import (
	"github.com/reuna/reuna/gateway/config"
	"github.com/reuna/reuna/gateway/define"
	"github.com/reuna/reuna/identity/trait"
)

// TraitDefinition is a trait of a configuration as it is compiled.
func TraitDefinition(t *config.Trait) trait.Definition {
	return traitDefinition(t, define.FromFile).Trait
}
