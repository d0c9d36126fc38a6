// Command layout measures ways of keeping events for years: compressed by
// visitor or in mixed blocks, with and without dictionaries, and what it takes
// to erase a person from each. It prints benchmarks/results/layout.md:
//
//	go run ./benchmarks/layout > benchmarks/results/layout.md
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/reuna/reuna/storage/record"
)

func main() {
	events := flag.Int("events", 6000, "events for each figure of compression")
	stored := flag.Int("stored", 200_000, "events written to a store")
	only := flag.String("parts", parts, "what to measure")
	seed := flag.Uint64("seed", 7, "same seed, same events")
	flag.Parse()
	runtime.LockOSThread() // cpu counts this thread
	if err := report(os.Stdout, *only, *events, *stored, *seed); err != nil {
		fmt.Fprintln(os.Stderr, "layout:", err)
		os.Exit(1)
	}
}

var (
	sizes  = [...]int{1, 3, 10, 30, 100}
	levels = [...]zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression}
)

// parts is what there is to measure, in the order of the report.
const parts = "compression,records,month,erasing,disk"

func report(w io.Writer, only string, events, stored int, seed uint64) error {
	fmt.Fprintf(w, "Measured on %d cores, %s/%s, %s.\n", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	sites := traffics()
	for part := range strings.SplitSeq(only, ",") {
		var err error
		switch part {
		case "compression":
			err = eachSite(w, sites, events, seed, compression)
		case "records":
			err = eachSite(w, sites, events, seed, records)
		case "month":
			err = eachSite(w, sites, events, seed, merging)
		case "erasing":
			err = erasing(w, sites[0], seed)
		case "disk":
			err = disk(w, sites[0], stored, seed)
		case "tables": // for a dictionary's file, not for the report
			err = tables(w, sites, static(), newest, seed)
		default:
			err = fmt.Errorf("no such part: expected some of %s", parts)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}

func eachSite(w io.Writer, sites []traffic, events int, seed uint64, measure func(io.Writer, traffic, int, uint64) error) error {
	for _, t := range sites {
		if err := measure(w, t, events, seed); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return nil
}

// compression compares dictionaries and levels by the number of a visitor's events in a chunk.
func compression(w io.Writer, t traffic, events int, seed uint64) error {
	var sets [len(sizes)][]entry
	json, raw, n := 0, 0, 0
	for i, size := range sizes {
		var err error
		if sets[i], err = t.population(events/size, size, seed); err != nil {
			return err
		}
		for _, e := range sets[i] {
			json, raw, n = json+e.json, raw+len(e.bytes), n+1
		}
	}
	before, err := t.population(1500, 4, seed+1)
	if err != nil {
		return err
	}
	dicts := []struct {
		name    string
		content []byte
	}{{"none", nil}, {"static", static()}, {"learned", learn(before, 32<<10)}}
	fmt.Fprintf(w, "\n## %s: %d bytes of JSON, %d bytes of record an event\n\n| dictionary | level |", t.name, json/n, raw/n)
	for _, size := range sizes {
		fmt.Fprintf(w, " %d |", size)
	}
	fmt.Fprintf(w, "\n|---|---|%s\n", strings.Repeat("---|", len(sizes)))
	for _, d := range dicts {
		for _, level := range levels {
			fmt.Fprintf(w, "| %s | %v |", d.name, level)
			for i := range sizes {
				plains, headers, err := chunks(sets[i])
				if err != nil {
					return err
				}
				overhead := chunkKey + headers/len(plains) - magicBytes
				c, err := packing{level: level, dict: d.content}.measure(plains, len(sets[i]), overhead)
				if err != nil {
					return err
				}
				fmt.Fprintf(w, " %v |", c)
			}
			fmt.Fprintln(w)
		}
	}
	fmt.Fprintf(w, "\n| mixed blocks of | level | an event |\n|---|---|---|\n")
	for _, size := range []int{64 << 10, 256 << 10} {
		for _, level := range levels {
			c, err := packing{level: level}.measure(blocks(sets[1], size), len(sets[1]), 0)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "| %d KiB | %v | %v, and %d B of index |\n", size>>10, level, c, indexKey)
		}
	}
	return nil
}

// crowd is a site's month: most visitors come once, a few all the time.
func crowd(t traffic, events int, seed uint64) ([]entry, error) {
	shares := []struct{ perVisitor, percent int }{{1, 45}, {3, 25}, {10, 20}, {30, 8}, {100, 2}}
	visitors := events * 100 / 760 // 7.6 events each
	return t.populationOf(visitors, func(v int) int {
		at := v % 100
		for _, s := range shares {
			if at < s.percent {
				return s.perVisitor
			}
			at -= s.percent
		}
		return 1
	}, seed)
}

// records compares the versions of an event's record, each with the
// dictionary that was made for it and with the other's.
func records(w io.Writer, t traffic, events int, seed uint64) error {
	fmt.Fprintf(w, "\n## %s: versions of an event's record, fastest\n\n| record | dictionary |", t.name)
	for _, size := range sizes {
		fmt.Fprintf(w, " %d |", size)
	}
	fmt.Fprintf(w, "\n|---|---|%s\n", strings.Repeat("---|", len(sizes)))
	raw, err := content(static())
	if err != nil {
		return err
	}
	for _, way := range []struct {
		version int
		name    string
		dict    []byte
	}{{1, "none", nil}, {2, "none", nil}, {1, "1", record.ChunkDictionary(1)}, {2, "1", record.ChunkDictionary(1)}, {2, "2, without its tables", raw}, {2, "2", static()}} {
		fmt.Fprintf(w, "| %d | %s |", way.version, way.name)
		for _, size := range sizes {
			entries, err := t.population(events/size, size, seed)
			if err != nil {
				return err
			}
			for i := range entries {
				if way.version == 1 {
					if entries[i].bytes, err = version1(entries[i].bytes); err != nil {
						return err
					}
				}
			}
			plains, headers, err := chunks(entries)
			if err != nil {
				return err
			}
			p := packing{level: zstd.SpeedFastest, dict: way.dict}
			c, err := p.measure(plains, len(entries), chunkKey+headers/len(plains)-magicBytes)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, " %v |", c)
		}
		fmt.Fprintln(w)
	}
	return nil
}

func merging(w io.Writer, t traffic, events int, seed uint64) error {
	entries, err := crowd(t, 2*events, seed)
	if err != nil {
		return err
	}
	before, err := t.population(1500, 4, seed+1)
	if err != nil {
		return err
	}
	static := static()
	type way struct {
		limit int
		name  string
		p     packing
	}
	var ways []way
	for _, kib := range []int{0, 4, 8, 16, 32, 64, 256} {
		ways = append(ways, way{kib << 10, "static", packing{level: zstd.SpeedFastest, dict: static}})
	}
	ways = append(ways, way{16 << 10, "static", packing{level: zstd.SpeedDefault, dict: static}}, way{16 << 10, "static", packing{level: zstd.SpeedBetterCompression, dict: static}},
		way{16 << 10, "learned", packing{level: zstd.SpeedFastest, dict: learn(before, 32<<10)}}, way{16 << 10, "none", packing{level: zstd.SpeedFastest}})
	fmt.Fprintf(w, "\n## %s: a month that settles hour by hour\n\n| merge limit | dictionary | level | bytes an event | CPU an event | chunks a visitor |\n|---|---|---|---|---|---|\n", t.name)
	for _, way := range ways {
		g, err := settle(entries, way.p, way.limit)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "| %d KiB | %s | %v | %.0f B | %s | %.1f |\n", way.limit>>10, way.name, way.p.level, g.bytes, micros(g.cpu), g.chunks)
	}
	return nil
}

// erasing takes a person of 100 events out of mixed blocks: each block with one
// of them is opened, written again without, and sealed.
func erasing(w io.Writer, t traffic, seed uint64) error {
	others, err := t.population(2000, 10, seed)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n## Erasing a person of 100 events\n\n| layout | blocks or chunks | bytes written again | CPU |\n|---|---|---|---|\n")
	for _, size := range []int{64 << 10, 256 << 10} {
		p := packing{level: zstd.SpeedFastest}
		all := blocks(others, size)
		c, err := p.measure(all, len(all), 0)
		if err != nil {
			return err
		}
		// In a long log a person's visits of five events lie in blocks of their
		// own, so 100 events are in 20 blocks.
		const visits = 20
		fmt.Fprintf(w, "| mixed blocks of %d KiB | %d | %.0f KB | %.1f ms |\n", size>>10, visits, visits*c.bytes/1000, float64(visits*(c.encode+c.decode).Microseconds())/1000)
	}
	fmt.Fprintf(w, "| chunks by visitor | 2 to 6 | none: keys are deleted | none |\n")
	return nil
}

func disk(w io.Writer, t traffic, events int, seed uint64) error {
	fmt.Fprintf(w, "\n## In a store: %d events, flushed and compacted\n\n| layout | bytes an event | of them keys, values and the store's own beyond zstd |\n|---|---|---|\n", events)
	seal, err := newGCM()
	if err != nil {
		return err
	}
	for _, size := range []int{3, 10, 100} {
		entries, err := t.population(events/size, size, seed)
		if err != nil {
			return err
		}
		n := float64(len(entries))
		codec, err := record.NewChunkCodec()
		if err != nil {
			return err
		}
		packed := 0
		occupied, err := keep(func(set func(k, v []byte) error) error {
			builders := map[int]*record.ChunkBuilder{}
			for _, e := range entries {
				b := builders[e.owner]
				if b == nil {
					b = new(record.ChunkBuilder)
					builders[e.owner] = b
				}
				b.Add(e.seq, e.receivedAt, e.eventTime, e.bytes)
			}
			var key, value []byte
			for owner, b := range builders {
				key = historyKey(key[:0], owner, b.First())
				value = codec.Encode(value[:0], b, seal, key)
				packed += len(value) - sealBytes - headerBytes
				if err := set(key, value); err != nil {
					return err
				}
			}
			return nil
		})
		codec.Close()
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "| chunks of %d events | %.1f B | %.1f B |\n", size, float64(occupied)/n, (float64(occupied)-float64(packed))/n)
		if size != 10 {
			continue
		}
		for _, kib := range []int{64, 256} {
			if err := diskOfBlocks(w, entries, kib, seal); err != nil {
				return err
			}
		}
	}
	return nil
}

func diskOfBlocks(w io.Writer, entries []entry, kib int, seal gcm) error {
	enc, dec, err := packing{level: zstd.SpeedFastest}.codec()
	if err != nil {
		return err
	}
	defer dec.Close()
	packed := 0
	occupied, err := keep(func(set func(k, v []byte) error) error {
		for i, b := range blocks(entries, kib<<10) {
			value := enc.EncodeAll(b, nil)
			packed += len(value)
			if err := set([]byte{2, byte(i >> 16), byte(i >> 8), byte(i)}, seal.Seal(nil, value, nil)); err != nil {
				return err
			}
		}
		var key []byte
		for i := range entries {
			key = indexedKey(key[:0], &entries[i])
			if err := set(key, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	n := float64(len(entries))
	fmt.Fprintf(w, "| mixed blocks of %d KiB and an index | %.1f B | %.1f B |\n", kib, float64(occupied)/n, (float64(occupied)-float64(packed))/n)
	return nil
}
