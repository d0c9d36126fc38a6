package geo

import (
	"io/fs"
	"os"
)

// Files tells when the databases of some Options are no longer those that were
// read, so that they can be opened anew without a signal. It belongs to one
// goroutine.
//
// A file counts as changed when its size or its time of change does, as it
// does when geoipupdate renames a new file into place. Two rules keep half a
// file from being read: the files must look the same at two calls in a row, and
// all of them must be there.
type Files struct {
	paths []string
	tried []stamp // those last opened, or found to be no good
	seen  []stamp // those of the last call
}

// stamp is what tells two states of a file apart.
type stamp struct {
	size, changed int64 // bytes; Unix nanoseconds
}

func stampOf(info fs.FileInfo) stamp {
	return stamp{size: info.Size(), changed: info.ModTime().UnixNano()}
}

// Files begins to watch the databases. Call it before Open, so that what
// changes in between is seen.
func (o Options) Files() *Files {
	w := &Files{}
	for _, path := range [...]string{o.City, o.Country, o.ASN} {
		if path != "" {
			w.paths = append(w.paths, path)
		}
	}
	w.tried, _ = w.look() // what is not there yet is a change when it comes
	w.seen = w.tried
	return w
}

// Changed says, once for each change, that the files are others than those of
// the last time that it said so, and at rest. Call it every few seconds to
// minutes.
func (w *Files) Changed() bool {
	now, whole := w.look()
	still := same(now, w.seen)
	w.seen = now
	if !whole || !still || same(now, w.tried) {
		return false
	}
	w.tried = now
	return true
}

// look is how the files are now, and whether all can be seen.
func (w *Files) look() (stamps []stamp, whole bool) {
	whole = true
	stamps = make([]stamp, len(w.paths))
	for i, path := range w.paths {
		info, err := os.Stat(path)
		if err != nil { // being replaced, or away: the databases in use stay
			whole = false
			continue
		}
		stamps[i] = stampOf(info)
	}
	return stamps, whole
}

func same(a, b []stamp) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
