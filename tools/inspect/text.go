package main

import (
	"bytes"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// blocks are what bars are drawn of: a full one, and its eighths from one to
// seven, where there are any.
type blocks struct {
	full   string
	eights []string
}

var (
	fullBlocks  = blocks{"█", []string{"▏", "▎", "▍", "▌", "▋", "▊", "▉"}}
	asciiBlocks = blocks{full: "#"}
)

// bar is n of most, in a width of columns.
func (b blocks) bar(n, most uint64, width int) string {
	if n == 0 || most == 0 {
		return ""
	}
	eights := int(float64(n) / float64(most) * float64(width*8))
	s := strings.Repeat(b.full, eights/8)
	switch {
	case len(b.eights) > 0 && eights%8 > 0:
		return s + b.eights[eights%8-1]
	case s == "" && len(b.eights) > 0:
		return b.eights[0]
	case s == "":
		return "."
	}
	return s
}

// text prints for people. Its buffer's writes cannot fail.
type text struct {
	*bytes.Buffer
	blocks blocks
}

func (t text) line(format string, args ...any) { fmt.Fprintf(t, format+"\n", args...) }

// table prints rows of columns divided by tabs; those from the second on align
// to the right where right says so.
func (t text) table(right bool, rows [][]string) {
	var flags uint
	if right {
		flags = tabwriter.AlignRight
	}
	w := tabwriter.NewWriter(t, 0, 0, 2, ' ', flags)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r, "\t")+"\t")
	}
	w.Flush() // into a buffer: cannot fail
}

const barWidth = 36

func (t text) overview(o *overview) {
	t.line("%s", o.Folder)
	t.line("format %d, %s on disk: %s in %s, %s of write-ahead log", o.Format, size(o.Files.all()), size(o.Files.Tables),
		count(uint64(o.Files.TableCount), "table"), size(o.Files.WAL))
	t.line("")
	if o.Last < o.Head {
		t.line("The log is empty; the next entry is %d.", o.Head)
	} else {
		t.line("The log has entries %s to %s.", number(o.Head), number(o.Last))
	}
	for i, x := range o.Incarnations {
		t.line("Incarnation %d, %s, begins with entry %s.", i+1, x.ID, number(x.First))
	}
	if o.ExpiredTo != nil {
		t.line("Events that were received before %s were deleted by age.", o.ExpiredTo.Format(time.DateOnly))
	}
	if len(o.Cursors) > 0 {
		t.line("")
		t.line("Readers of the log")
		rows := [][]string{{"  reader", "at entry", "behind", "moved", "entries wait for it"}}
		for _, c := range o.Cursors {
			moved := "not known"
			if c.Moved != nil {
				moved = c.Moved.Format(time.DateTime)
			}
			rows = append(rows, []string{"  " + c.Name, number(c.Seq), number(c.Lag), moved, c.Hold})
		}
		t.table(false, rows)
	}
	t.spaces(o)
	t.picture(o)
	t.line("")
	t.line("How entries are kept")
	rows := [][]string{{"  where", "entries", "in", "before", "stored", "each entry", ""}}
	for _, x := range [...]struct {
		name, part string
		packed
	}{{"  log's tail", "block", o.Log}, {"  histories", "chunk", o.Histories}} {
		rows = append(rows, []string{x.name, number(x.Entries), count(x.Parts, x.part), size(x.Plain), size(x.Bytes), each(x.Bytes, x.Entries), ratio(x.Plain, x.Bytes)})
	}
	t.table(false, rows)
	t.line("")
	t.line("Keys: %s of days of the log, %s of facets, identifiers and refused messages, under %s.",
		number(uint64(o.EpochKeys)), number(o.OwnerKeys), count(uint64(o.WrapKeys), "wrapping key"))
	t.erasures(o)
}

func (t text) spaces(o *overview) {
	t.line("")
	t.line("Key spaces")
	rows := [][]string{{"  ", "records", "keys", "values", "in tables", "a record", ""}}
	var records, keys, values, disk uint64
	for i := range o.Spaces {
		s := &o.Spaces[i]
		rows = append(rows, []string{"  " + s.First, number(s.Records), size(s.Keys), size(s.Values), size(s.Disk), each(s.bytes(), s.Records), s.Name})
		records, keys, values, disk = records+s.Records, keys+s.Keys, values+s.Values, disk+s.Disk
	}
	rows = append(rows, []string{"  all", number(records), size(keys), size(values), size(disk), each(keys+values, records), ""})
	// The name stands last, so that the figures align to the right before it.
	var cells bytes.Buffer
	w := tabwriter.NewWriter(&cells, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, r := range rows {
		fmt.Fprintln(w, strings.Join(r[:len(r)-1], "\t")+"\t")
	}
	w.Flush() // into a buffer: cannot fail
	for i, line := range strings.Split(strings.TrimRight(cells.String(), "\n"), "\n") {
		t.line("%s", strings.TrimRight(line+"  "+rows[i][len(rows[i])-1], " "))
	}
}

func (t text) picture(o *overview) {
	shares, onDisk := o.shares()
	t.line("")
	if onDisk {
		t.line("Where the bytes are: on disk")
	} else {
		t.line("Where the bytes are: records, most of which are in the write-ahead log alone")
	}
	var all uint64
	for _, x := range shares {
		all += x.Bytes
	}
	for _, x := range shares {
		t.line("  %-21s %9s %5.1f %%  %s", x.Name, size(x.Bytes), percent(x.Bytes, all), t.blocks.bar(x.Bytes, shares[0].Bytes, barWidth))
	}
}

func (t text) erasures(o *overview) {
	t.line("")
	if len(o.Erasures) == 0 {
		t.line("Nobody was erased.")
		return
	}
	t.line("Erasures, newest first")
	rows := [][]string{{"  entry", "decided", "identifiers", "facets", "entries to overwrite", "state"}}
	for _, x := range o.Erasures {
		rows = append(rows, []string{"  " + number(x.Seq), x.Time.Format(time.DateTime), number(uint64(x.Identifiers)),
			number(uint64(x.Facets)), number(uint64(x.Waiting)), x.State})
	}
	t.table(false, rows)
	if o.MoreErasures > 0 {
		t.line("  and %s before", number(uint64(o.MoreErasures)))
	}
}

func (t text) person(p *person) {
	t.line("")
	t.line("The person of %s, in the %s view", p.Asked, p.View)
	rows := [][]string{{"  identifier", "hash", "facets", "in the tail", "chunks", ""}}
	for _, x := range p.Identifiers {
		note := ""
		if x.Erased != nil {
			note = "erased " + x.Erased.Format(time.DateTime) + ", and came back"
		}
		rows = append(rows, []string{"  " + x.Identifier, x.Hash, number(uint64(x.Facets)), number(uint64(x.Tail)), number(uint64(x.History)), note})
	}
	t.table(false, rows)
	t.line("")
	t.line("Facets")
	for _, x := range p.Facets {
		names := strings.TrimSpace(strings.Join([]string{label("device", x.Device), label("user", x.User)}, " "))
		t.line("  %s  %s, %s", x.Hash, names, x.Trust)
		if !x.Counts {
			t.line("    belongs to somebody else who shares an identifier")
		}
		events := count(uint64(x.Events), "event")
		if x.Bots > 0 {
			events += " and " + number(uint64(x.Bots)) + " of robots"
		}
		t.line("    %s, %s to %s; %s; last entry %s; record of %s; %s in the tail's index", events,
			x.First.Format(time.DateTime), x.Last.Format(time.DateTime), count(uint64(x.Traits), "trait"), number(x.Applied), size(uint64(x.Record)), number(uint64(x.Tail)))
		for _, c := range x.Chunks {
			t.line("    chunk %s  entries %s to %s, %s, %s to %s, %s from %s", c.Month, number(c.First), number(c.Last), number(uint64(c.Entries)),
				c.From.Format(time.DateTime), c.To.Format(time.DateTime), size(uint64(c.Bytes)), size(uint64(c.Plain)))
		}
	}
	if len(p.Evidence) > 0 {
		t.line("")
		t.line("Evidence")
		rows := [][]string{}
		for _, x := range p.Evidence {
			note := x.Trust
			if x.Cut {
				note += ", cut by an operator"
			}
			rows = append(rows, []string{"  " + x.A, x.B, note, x.Earliest.Format(time.DateTime), "to " + x.Newest.Format(time.DateTime)})
		}
		t.table(false, rows)
	}
	for i, x := range p.Sessions {
		if i == 0 {
			t.line("")
			t.line("Sessions")
		}
		state := "until " + x.Until.Format(time.DateTime)
		if x.Ended {
			state = "ended"
		}
		t.line("  device %s  %s  %s, by entry %s", x.Device, strings.TrimSpace(label("user", x.User)), state, number(x.Seq))
	}
	for i, x := range p.Standings {
		if i == 0 {
			t.line("")
			t.line("Audiences")
		}
		list := make([]string, 0, len(x.Audiences))
		for _, a := range x.Audiences {
			list = append(list, fmt.Sprintf("number %d since %s", a.Number, a.Since.Format(time.DateTime)))
		}
		if len(list) == 0 {
			list = append(list, "none")
		}
		until := ""
		if x.Until != nil {
			until = "  may change by itself at " + x.Until.Format(time.DateTime)
		}
		t.line("  %s  %s, by entry %s%s", x.Identifier, strings.Join(list, "; "), number(x.Seq), until)
	}
	b := p.Bytes
	t.line("")
	t.line("Stored: %s. Facets %s, histories %s, evidence %s, sessions %s, standings %s, indexes %s, keys %s.", size(uint64(b.all())),
		size(uint64(b.Facets)), size(uint64(b.Histories)), size(uint64(b.Evidence)), size(uint64(b.Sessions)), size(uint64(b.Standings)), size(uint64(b.Indexes)), size(uint64(b.Keys)))
}

func label(what, value string) string {
	if value == "" {
		return ""
	}
	return what + " " + value
}

func (t text) verified(r *verified) {
	t.line("")
	verdict := "All records agree"
	if !r.OK {
		verdict = "Not all records agree: " + count(uint64(r.FaultCount), "fault")
	}
	t.line("%s. Read: %s, %s settled and %s in the log; %s counted event by event.", verdict, count(r.Events, "event"),
		number(r.Settled), number(r.Tail), count(r.Checked, "facet"))
	if r.Uncertain > 0 {
		t.line("Of %s some events were deleted by age: their counts are bounded only.", count(r.Uncertain, "facet"))
	}
	for _, x := range r.Left {
		t.line("note   %s: name the configuration with -config", x)
	}
	t.faults("fault", r.Faults, r.FaultCount)
	t.faults("note ", r.Notes, r.NoteCount)
}

func (t text) faults(kind string, list []fault, all int) {
	for _, x := range list {
		t.line("%s  %s: %s", kind, strings.TrimSpace(x.Space+" "+x.Key), x.What)
	}
	if n := all - len(list); n > 0 {
		t.line("       and %s more", number(uint64(n)))
	}
}
