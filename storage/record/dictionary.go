package record

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// newestDictionary is the id of the dictionary that chunks and packed records
// are written with. Dictionaries with lower ids stay here, byte for byte, for
// as long as something may have been written with them: for ever.
const newestDictionary = 2

// Dictionaries are public vocabulary only, nothing that a visitor ever said:
// names of events and properties from the Segment specifications and GA4, and
// browsers, systems, screens, languages, time zones, countries and channels in
// the shapes that event records give them: dictionary 1 those of record version
// 1, dictionary 2 those of version 2 and a few of facets. What is used most
// stands last, where a match is cheapest. Each line of a file is a fragment in
// which \x00 is a byte and \\ a backslash; a line that begins with "# " is a heading.
//
// Dictionary 1 is raw content. Dictionary 2 is in zstd's dictionary format (RFC
// 8878, section 5): tables stand before the content, here that of how long and
// how far matches are in chunks of few entries, so that a chunk need not bring
// its own. They count lengths, no words. (go run ./benchmarks/layout -parts tables)
var (
	//go:embed dictionary1.txt
	dictionary1 string
	//go:embed dictionary2.txt
	dictionary2 string
)

// ChunkDictionary gives the dictionary with that id: raw content, or from id 2
// on zstd's dictionary format; nil when there is none.
func ChunkDictionary(id uint) []byte {
	switch id {
	case 1:
		return expandDictionary(dictionary1)
	case 2:
		return expandDictionary(dictionary2)
	}
	return nil
}

// expandDictionary makes a dictionary of its file. The file is part of the
// program, so a fault in it is the program's.
func expandDictionary(text string) []byte {
	var out []byte
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "# ") {
			continue
		}
		for line != "" {
			before, escape, found := strings.Cut(line, `\`)
			out = append(out, before...)
			if !found {
				break
			}
			if rest, is := strings.CutPrefix(escape, `\`); is {
				out, line = append(out, '\\'), rest
				continue
			}
			var b uint64
			err := strconv.ErrSyntax
			if len(escape) >= 3 && escape[0] == 'x' {
				b, err = strconv.ParseUint(escape[1:3], 16, 8)
			}
			if err != nil {
				panic(fmt.Sprintf("record: dictionary: %.10q is no escape", `\`+escape))
			}
			out, line = append(out, byte(b)), escape[3:]
		}
	}
	return out
}

func encoderDictionary(id uint) zstd.EOption {
	if id == 1 {
		return zstd.WithEncoderDictRaw(uint32(id), ChunkDictionary(id))
	}
	return zstd.WithEncoderDict(ChunkDictionary(id))
}

func decoderDictionary(id uint) zstd.DOption {
	if id == 1 {
		return zstd.WithDecoderDictRaw(uint32(id), ChunkDictionary(id))
	}
	return zstd.WithDecoderDicts(ChunkDictionary(id))
}
