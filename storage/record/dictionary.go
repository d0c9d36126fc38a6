package record

import (
	_ "embed"

	"github.com/klauspost/compress/zstd"
)

// newestDictionary is the id of the dictionary that chunks are written with.
// Dictionaries with lower ids stay here, byte for byte, for as long as a
// chunk may have been written with them: for ever.
const newestDictionary = 1

// dictionary1 is public vocabulary only, nothing that a visitor ever said: see
// its file's tests. What is used most stands last, where a match is cheapest.
//
//go:embed dictionary1.txt
var dictionary1 []byte

// dictionaryText gives a dictionary's content; nil when there is none with that id.
func dictionaryText(id uint32) []byte {
	switch id {
	case 1:
		return dictionary1
	}
	return nil
}

func encoderDictionary(id uint32) zstd.EOption {
	return zstd.WithEncoderDictRaw(id, dictionaryText(id))
}

func decoderDictionary(id uint32) zstd.DOption {
	return zstd.WithDecoderDictRaw(id, dictionaryText(id))
}
