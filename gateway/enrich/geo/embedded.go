package geo

import (
	_ "embed" // the data below
	"fmt"

	"github.com/klauspost/compress/zstd"
)

//go:embed data/country.mmdb.zst
var embeddedCountries []byte

// Embedded is the country database that every gateway carries, unpacked: a
// MaxMind DB file of IPv4 and IPv6. data/README.md says where it is from.
func Embedded() ([]byte, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1))
	if err != nil {
		return nil, fmt.Errorf("geo: making a zstd decoder: %w", err)
	}
	defer dec.Close()
	data, err := dec.DecodeAll(embeddedCountries, nil)
	if err != nil {
		return nil, fmt.Errorf("geo: unpacking the embedded country database: %w", err)
	}
	return data, nil
}
