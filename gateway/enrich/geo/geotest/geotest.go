// Package geotest writes MaxMind DB files, for tests and benchmarks.
// https://maxmind.github.io/MaxMind-DB/
package geotest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
)

// Writer makes one file: an IPv6 tree with 32-bit records. Its zero value is empty.
type Writer struct {
	nodes []node
	data  bytes.Buffer
	err   error
}

// node has, for each bit, the index of a node, or a record's offset + 1.
type node struct{ child, data [2]int }

// Pointer is encoded as a pointer to that offset of the data section.
type Pointer uint32

// Record adds a value and gives its place in the data section. Values are
// strings, bools, uint16, uint32, uint64, Pointers, []any and map[string]any.
func (w *Writer) Record(v any) (offset int) {
	offset = w.data.Len()
	w.note(encode(&w.data, v))
	return offset
}

// Network says that the addresses of p have the record at offset.
func (w *Writer) Network(p netip.Prefix, offset int) {
	if w.nodes == nil {
		w.nodes = []node{{}}
	}
	bits, raw := p.Bits(), p.Addr().As16()
	if p.Addr().Is4() { // IPv4 lies under ::/96
		bits += 96
		raw = [16]byte{12: raw[12], 13: raw[13], 14: raw[14], 15: raw[15]}
	}
	at := 0
	for i := range bits {
		side := raw[i/8] >> (7 - i%8) & 1
		if i == bits-1 {
			w.nodes[at].data[side] = offset + 1
			break
		}
		if w.nodes[at].child[side] == 0 {
			w.nodes = append(w.nodes, node{})
			w.nodes[at].child[side] = len(w.nodes) - 1
		}
		at = w.nodes[at].child[side]
	}
}

// Bytes is the file, of a database of that type, "GeoLite2-City".
func (w *Writer) Bytes(kind string) ([]byte, error) {
	var tree bytes.Buffer
	for _, n := range w.nodes {
		for side := range 2 {
			record := len(w.nodes) // nothing here
			switch {
			case n.data[side] != 0:
				record = len(w.nodes) + separator + n.data[side] - 1
			case n.child[side] != 0:
				record = n.child[side]
			}
			tree.Write(binary.BigEndian.AppendUint32(nil, uint32(record)))
		}
	}
	file, err := Assemble(kind, len(w.nodes), tree.Bytes(), w.data.Bytes())
	w.note(err)
	return file, w.err
}

func (w *Writer) note(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Database is the file that has a record for each prefix.
func Database(kind string, rows map[string]map[string]any) ([]byte, error) {
	var w Writer
	for _, k := range sorted(rows) {
		p, err := netip.ParsePrefix(k)
		if err != nil {
			return nil, err
		}
		w.Network(p, w.Record(rows[k]))
	}
	return w.Bytes(kind)
}

// separator is the length of what stands between tree and data.
const separator = 16

// Assemble puts a tree of 32-bit records and a data section together, which need
// not be sound.
func Assemble(kind string, nodes int, tree, data []byte) ([]byte, error) {
	var out bytes.Buffer
	out.Write(tree)
	out.Write(make([]byte, separator))
	out.Write(data)
	out.WriteString("\xab\xcd\xefMaxMind.com")
	err := encode(&out, map[string]any{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0),
		"build_epoch": uint64(1_700_000_000), "database_type": kind, "ip_version": uint16(6),
		"node_count": uint32(nodes), "record_size": uint16(32),
		"languages": []any{"en"}, "description": map[string]any{"en": "made by a program"},
	})
	return out.Bytes(), err
}

// Encode is a value as it stands in a data section.
func Encode(v any) ([]byte, error) {
	var out bytes.Buffer
	err := encode(&out, v)
	return out.Bytes(), err
}

func encode(out *bytes.Buffer, v any) error {
	number := func(kind int, n uint64) {
		b := bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, n), "\x00")
		control(out, kind, len(b))
		out.Write(b)
	}
	switch v := v.(type) {
	case Pointer:
		out.WriteByte(1<<5 | 3<<3)
		out.Write(binary.BigEndian.AppendUint32(nil, uint32(v)))
	case string:
		control(out, 2, len(v))
		out.WriteString(v)
	case uint16:
		number(5, uint64(v))
	case uint32:
		number(6, uint64(v))
	case uint64:
		number(9, v)
	case bool:
		size := 0
		if v {
			size = 1
		}
		control(out, 14, size)
	case []any:
		control(out, 11, len(v))
		for _, x := range v {
			if err := encode(out, x); err != nil {
				return err
			}
		}
	case map[string]any:
		control(out, 7, len(v))
		for _, k := range sorted(v) {
			if err := encode(out, k); err != nil {
				return err
			}
			if err := encode(out, v[k]); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("geotest: a %T has no form in a MaxMind DB file", v)
	}
	return nil
}

// control writes what goes before a value: its kind and its length.
func control(out *bytes.Buffer, kind, size int) {
	var extra []byte
	switch {
	case size >= 65821:
		b := binary.BigEndian.AppendUint32(nil, uint32(size-65821))
		extra, size = b[1:], 31
	case size >= 285:
		extra, size = binary.BigEndian.AppendUint16(nil, uint16(size-285)), 30
	case size >= 29:
		extra, size = []byte{byte(size - 29)}, 29
	}
	if kind > 7 {
		out.Write([]byte{byte(size), byte(kind - 7)})
	} else {
		out.WriteByte(byte(kind<<5 | size))
	}
	out.Write(extra)
}

func sorted[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
