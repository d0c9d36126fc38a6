package main

import (
	"context"
	"encoding/hex"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/reuna/reuna/storage/keyspace"
	"github.com/reuna/reuna/storage/verify"
)

// overview is a folder's shape, for which no key is needed. Sizes are bytes.
type overview struct {
	Folder       string        `json:"folder"`
	Format       uint64        `json:"format"`
	Incarnations []incarnation `json:"incarnations"`
	Head         uint64        `json:"head"`
	Last         uint64        `json:"last"`
	Cursors      []cursor      `json:"cursors"`
	Spaces       []space       `json:"spaces"`
	Files        files         `json:"files"`
	Log          packed        `json:"log"`
	Histories    packed        `json:"histories"`
	EpochKeys    int           `json:"epochKeys"`
	WrapKeys     int           `json:"wrappingKeys"`
	OwnerKeys    uint64        `json:"ownerKeys"`
	ExpiredTo    *time.Time    `json:"eventsDeletedBefore,omitempty"`
	Erasures     []erasure     `json:"erasures"`
	MoreErasures int           `json:"moreErasures,omitempty"`
}

type incarnation struct {
	ID    string `json:"id"`
	First uint64 `json:"first"`
}

type cursor struct {
	Name  string     `json:"name"`
	Seq   uint64     `json:"seq"`
	Lag   uint64     `json:"lag"`
	Moved *time.Time `json:"moved,omitempty"`
	Hold  string     `json:"hold"`
}

// space is one key space. Disk is what its keys take of the table files; what
// has not left the write-ahead log yet is not in it.
type space struct {
	First   string `json:"first"` // byte of its keys, in hexadecimal
	Name    string `json:"name"`
	Group   string `json:"group"`
	Records uint64 `json:"records"`
	Keys    uint64 `json:"keyBytes"`
	Values  uint64 `json:"valueBytes"`
	Disk    uint64 `json:"diskBytes"`
}

func (s *space) bytes() uint64 { return s.Keys + s.Values }

// files are the bytes in the folder by kind of file.
type files struct {
	Tables     uint64 `json:"tables"`
	TableCount int    `json:"tableCount"`
	WAL        uint64 `json:"writeAheadLog"`
	Other      uint64 `json:"other"`
}

func (f *files) all() uint64 { return f.Tables + f.WAL + f.Other }

// packed is how well entries are stored.
type packed struct {
	Entries uint64 `json:"entries"`
	Parts   uint64 `json:"parts"`      // blocks or chunks
	Plain   uint64 `json:"plainBytes"` // before compression
	Bytes   uint64 `json:"bytes"`      // sealed, without keys
}

type erasure struct {
	Seq         uint64    `json:"seq"`
	Time        time.Time `json:"time"`
	Identifiers int       `json:"identifiers"`
	Facets      int       `json:"facets"`
	Waiting     int       `json:"entriesToOverwrite"`
	State       string    `json:"state"` // done, or being shredded
}

const maxErasures = 20 // that are listed; the newest

// Groups of spaces, as they are told apart by colour.
const (
	groupEvents = "events"
	groupPeople = "people"
	groupFind   = "indexes"
	groupKeys   = "keys"
	groupRest   = "the rest"
	groupWAL    = "write-ahead log"
)

var groups = []string{groupEvents, groupPeople, groupFind, groupKeys, groupRest, groupWAL}

func groupOf(s keyspace.Space) string {
	switch s {
	case keyspace.LogBlock, keyspace.History, keyspace.Quarantine:
		return groupEvents
	case keyspace.Facet, keyspace.Pair, keyspace.Session, keyspace.Standing:
		return groupPeople
	case keyspace.Node, keyspace.Event, keyspace.Dedupe, keyspace.Again, keyspace.Member, keyspace.Due:
		return groupFind
	case keyspace.VaultKey:
		return groupKeys
	}
	return groupRest
}

// fewBlocks is up to where the engine's estimate says little: it counts a block
// of a table whole, whoever shares it.
const fewBlocks = 64 << 10

func (f *folder) overview(ctx context.Context, progress func(string, uint64, uint64)) (*overview, error) {
	v, err := verify.Look(ctx, f.db, progress)
	if err != nil {
		return nil, err
	}
	o := &overview{
		Folder: f.name, Format: v.Format, Head: v.Head, Last: v.Last,
		Cursors: []cursor{}, Spaces: []space{}, Erasures: []erasure{}, Incarnations: []incarnation{},
		EpochKeys: len(v.Epochs), WrapKeys: v.WrapGroups, OwnerKeys: v.OwnerKeys,
		Log:       packed{Entries: v.Last + 1 - v.Head, Parts: v.Blocks, Plain: v.TailPlain, Bytes: v.BlockBytes},
		Histories: packed{Entries: v.ChunkEntries, Parts: v.Chunks, Plain: v.ChunkPlain, Bytes: v.ChunkBytes},
	}
	if v.Expired != 0 {
		at := time.UnixMilli(v.Expired).UTC()
		o.ExpiredTo = &at
	}
	for _, x := range v.Incarnations {
		o.Incarnations = append(o.Incarnations, incarnation{hex.EncodeToString(x.ID[:]), x.First})
	}
	for _, x := range v.Cursors {
		c := cursor{Name: x.Name, Seq: x.Seq, Lag: v.Last - min(x.Seq, v.Last), Hold: "for ever"}
		if x.Hold >= 0 {
			c.Hold = x.Hold.String()
		}
		if !x.Moved.IsZero() {
			at := x.Moved.UTC()
			c.Moved = &at
		}
		o.Cursors = append(o.Cursors, c)
	}
	for _, x := range v.Spaces {
		lower, upper := keyspace.Bounds([]byte{byte(x.Space)})
		disk, err := f.db.SpaceUsage(lower, upper)
		if err != nil {
			return nil, err
		}
		if n := x.KeyBytes + x.ValueBytes; disk < fewBlocks && n < disk {
			disk = n
		}
		o.Spaces = append(o.Spaces, space{
			First: hex.EncodeToString(lower), Name: verify.SpaceName(x.Space), Group: groupOf(x.Space),
			Records: x.Records, Keys: x.KeyBytes, Values: x.ValueBytes, Disk: disk,
		})
	}
	if o.Files, err = countFiles(f.dir); err != nil {
		return nil, err
	}
	return o, f.erasures(o)
}

func (f *folder) erasures(o *overview) error {
	lower, upper := keyspace.Bounds([]byte{byte(keyspace.Erasure)})
	return f.db.IterReverse(lower, upper, func(k, v []byte) (bool, error) {
		seq, err := keyspace.ParseErasure(k)
		if err != nil {
			return false, err
		}
		if len(o.Erasures) == maxErasures {
			o.MoreErasures++
			return true, nil
		}
		x, err := verify.ReadErasure(v)
		if err != nil {
			return false, err
		}
		e := erasure{
			Seq: seq, Time: time.UnixMilli(x.At).UTC(), Identifiers: len(x.Identifiers), Facets: len(x.Facets), Waiting: len(x.Pending), State: "done",
		}
		if !x.Done {
			e.State = "being shredded"
		}
		o.Erasures = append(o.Erasures, e)
		return true, nil
	})
}

func countFiles(dir string) (f files, err error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return f, err
	}
	for _, x := range list {
		info, err := os.Stat(filepath.Join(dir, x.Name())) // follows the links to a backup
		if err != nil {
			return f, err
		}
		size := uint64(info.Size())
		switch {
		case info.IsDir():
		case strings.HasSuffix(x.Name(), ".sst"):
			f.Tables += size
			f.TableCount++
		case strings.HasSuffix(x.Name(), ".log"):
			f.WAL += size
		default:
			f.Other += size
		}
	}
	return f, nil
}

// share is one bar of the picture.
type share struct {
	Name, Group string
	Records     uint64 // 0 where it means nothing
	Bytes       uint64
}

// shares says where the bytes are, the largest first and the smallest as one: as
// they lie in tables, or, while most of them are in the write-ahead log alone,
// as records.
func (o *overview) shares() (list []share, onDisk bool) {
	var disk, records uint64
	for i := range o.Spaces {
		disk += o.Spaces[i].Disk
		records += o.Spaces[i].bytes()
	}
	onDisk = disk >= records/2
	for i := range o.Spaces {
		s := &o.Spaces[i]
		x := share{s.Name, s.Group, s.Records, s.bytes()}
		if onDisk {
			x.Bytes = s.Disk
		}
		list = append(list, x)
	}
	if onDisk {
		list = append(list, share{Name: "write-ahead log", Group: groupWAL, Bytes: o.Files.WAL}, share{Name: "lists of files", Group: groupRest, Bytes: o.Files.Other})
	}
	slices.SortStableFunc(list, func(a, b share) int {
		switch {
		case a.Bytes > b.Bytes:
			return -1
		case a.Bytes < b.Bytes:
			return 1
		}
		return 0
	})
	return foldSmall(list), onDisk
}

// foldSmall makes one share of those that are below a thousandth of all.
func foldSmall(list []share) []share {
	var all, small uint64
	for _, x := range list {
		all += x.Bytes
	}
	big := list[:0:0]
	few := 0
	for _, x := range list {
		if x.Bytes >= all/1000 && x.Bytes > 0 {
			big = append(big, x)
			continue
		}
		few++
		small += x.Bytes
	}
	if small > 0 {
		big = append(big, share{Name: count(uint64(few), "smaller one"), Group: groupRest, Bytes: small})
	}
	return big
}
