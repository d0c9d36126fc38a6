package measure

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   Spread
	}{
		{nil, Spread{}},
		{[]float64{3}, Spread{3, 3, 3}},
		{[]float64{5, 1}, Spread{1, 3, 5}},
		{[]float64{9, 1, 2}, Spread{1, 2, 9}},
		{[]float64{4, 1, 3, 2}, Spread{1, 2.5, 4}},
	} {
		before := slices.Clone(c.values)
		if got := Of(c.values); got != c.want {
			t.Errorf("%v: %v, expected %v", c.values, got, c.want)
		}
		if !slices.Equal(before, c.values) {
			t.Errorf("%v was changed to %v", before, c.values)
		}
	}
}

// Half of the values lie on each side of a median.
func TestMedianDividesInHalf(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 200 {
		values := make([]float64, 1+random.IntN(20))
		for i := range values {
			values[i] = float64(random.IntN(10))
		}
		s := Of(values)
		below, above := 0, 0
		for _, v := range values {
			if v < s.Median {
				below++
			}
			if v > s.Median {
				above++
			}
			if v < s.Min || v > s.Max {
				t.Fatalf("%v: %v lies outside %v", values, v, s)
			}
		}
		if 2*below > len(values) || 2*above > len(values) {
			t.Fatalf("%v: %d below and %d above the median %v", values, below, above, s.Median)
		}
	}
}

const stat = "4242 (a (nasty) na me) S 1 4242 4242 0 -1 4194560 1934 0 1 0 1234 66 7 8 20 0 9 0 8101 1268744192 2048 18446744073709551615 1 1 0 0 0 0 0 0 2143420159 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"

func TestParseStat(t *testing.T) {
	if got, err := parseStat([]byte(stat)); err != nil || got != 13*time.Second {
		t.Errorf("%v, %v: expected (1234 + 66) ticks of 10 ms", got, err)
	}
	for _, bad := range []string{"", "1 (x", "1 (x) S 1 2", strings.Replace(stat, "1234", "-1", 1)} {
		if got, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

func TestParseMachine(t *testing.T) {
	busy, total, err := parseMachine([]byte("cpu  100 20 30 4000 500 6 7 8 90 10\ncpu0 1 2 3 4 5 6 7 8 9 10\n"))
	if err != nil || busy != (100+20+30+6+7+8)*Tick || total != (100+20+30+4000+500+6+7+8)*Tick {
		t.Errorf("busy %v, total %v, %v", busy, total, err)
	}
	for _, bad := range []string{"", "cpu 1 2 3", "cpu0 1 2 3 4 5 6 7 8", "cpu 1 2 3 x 5 6 7 8"} {
		if _, _, err := parseMachine([]byte(bad)); err == nil {
			t.Errorf("%q was read", bad)
		}
	}
}

func TestParseField(t *testing.T) {
	status := []byte("Name:\tgateway\nVmHWM:\t  123456 kB\nVmRSS:\t   2048 kB\nThreads:\t9\nVmOdd:\t1 pages\nVmNone:\n")
	for name, want := range map[string]uint64{"VmHWM": 123456 * 1024, "VmRSS": 2 << 20, "Threads": 9} {
		if got, err := parseField(status, name); err != nil || got != want {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
	for _, name := range []string{"Name", "VmOdd", "VmNone", "VmR", "Absent"} {
		if got, err := parseField(status, name); err == nil {
			t.Errorf("%s: %d", name, got)
		}
	}
}

func TestThisProcess(t *testing.T) {
	if runtime.GOOS != "linux" {
		return // there is no /proc to read
	}
	pid := os.Getpid()
	before, err := CPU(pid)
	if err != nil {
		t.Fatal(err)
	}
	sum := byte(0)
	for began := time.Now(); time.Since(began) < 120*time.Millisecond; {
		sum += bytes.Repeat([]byte{1}, 1000)[sum]
	}
	after, err := CPU(pid)
	if err != nil || after <= before {
		t.Errorf("%v before and %v after 120 ms of work, error %v", before, after, err)
	}
	if busy, total, err := Machine(); err != nil || busy < after || total < busy {
		t.Errorf("machine busy %v of %v, this process %v, %v", busy, total, after, err)
	}
	m, err := MemoryOf(pid)
	if err != nil || m.Resident < 1<<20 || m.Peak < m.Resident {
		t.Errorf("%+v, %v", m, err)
	}
	if _, err := Written(pid); err != nil {
		t.Error(err)
	}
	if _, err := CPU(-1); err == nil {
		t.Error("process -1 has a processor time")
	}
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"one": 10, "a/two": 70_000, "a/b/three": 0} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, size), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	length, disk, err := Folder(dir)
	if err != nil || length != 70_010 || disk%512 != 0 {
		t.Errorf("length %d, disk %d, %v", length, disk, err)
	}
	if _, _, err := Folder(filepath.Join(dir, "none")); err == nil {
		t.Error("a folder that is not there has a size")
	}
}

func TestModel(t *testing.T) {
	if got := model([]byte("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nmodel name\t: Other\n")); got != "Some CPU @ 2 GHz" {
		t.Errorf("%q", got)
	}
	if got := model([]byte("nothing")); got != "" {
		t.Errorf("%q", got)
	}
	if e := Here(); e.Cores < 1 || e.Go == "" {
		t.Errorf("%+v", e)
	}
}

func FuzzParsers(f *testing.F) {
	f.Add([]byte(stat))
	f.Add([]byte(")00 00 0 00 0000000 0000 0 0 0 0000 00 12000000000000 0"))
	f.Add([]byte("cpu  100 20 30 4000 500 6 7 8 90 10\n"))
	f.Add([]byte("VmRSS:\t 12 kB\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if d, err := parseStat(data); err == nil && d < 0 {
			t.Errorf("%v from %q", d, data)
		}
		if n, err := parseField(data, "VmRSS"); err != nil && n != 0 {
			t.Errorf("%d beside %v", n, err)
		}
		if busy, total, err := parseMachine(data); err == nil && (busy < 0 || total < busy) {
			t.Errorf("busy %v of %v from %q", busy, total, data)
		}
		model(data)
	})
}
