package enrich

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// fixture is one published package whose contents are compared with what we
// say. Versions are pinned, so that every run compares with the same.
type fixture struct {
	name, version string
	goModule      bool
	// sum is the package's integrity as npm publishes it, SHA-512. A Go module's
	// is kept by the Go command itself (sum.golang.org).
	sum     string
	files   []string // what is read of it
	license string
	source  string // where it comes from
	what    string // what it holds
}

// The names of the fixtures that are read by one function each.
const (
	uapCore  = "github.com/ua-parser/uap-core"
	crawlers = "crawler-user-agents"
	visitors = "user-agents"
	caniuse  = "caniuse-lite"
)

// fixtures are all of them. Those of one name stand from the oldest to the newest.
func fixtures() []fixture {
	all := []fixture{
		{
			name: uapCore, version: "v0.18.0", goModule: true, license: "Apache-2.0", source: "github.com/ua-parser/uap-core",
			what:  "agents with the browser, system and device that the User Agent String Parser project says they are, and its rules",
			files: []string{"regexes.yaml", "tests/test_ua.yaml", "tests/test_os.yaml", "tests/test_device.yaml"},
		},
		{
			name: crawlers, version: "1.60.0", license: "MIT", source: "github.com/monperrus/crawler-user-agents",
			what: "agents of crawlers, each with its kind", files: []string{"crawler-user-agents.json"},
			sum: "p8hKVsnZl3msolBhGW8s86V0tmmcuBSwhTXkzkegGQzTt0A/ysKDHKzek9fichfqL5qBEgDrR9CuGBU0Y7bDrg==",
		},
	}
	for _, v := range [][2]string{
		{"1.0.500", "M5wbkvLNjcGle9QECRqJtOFIxQYMZs2YX9+cguboQfdu5/rbw0NVdxuq0YpbpAa8xGoIUjBglJwQFj0lD0Ln3g=="},
		{"1.0.583", "DOn3xrvFyO49LPx2OS7FcWdq4pEcVY4D4I/ZBHOX9KWKio+f83sY+NrWLxq+aO/qikpwlxl2nGb5heCfAEUv9A=="},
		{"1.0.839", "BtGPvMhVk7mmEHyDKkE4apZqTOACYLKr/7y5A82weckks9u/YZ1pLQcjh7meOpwXq8Gpu5GcJ9aX9ljB7vNgpg=="},
		{"1.0.1197", "jBHFOoH4wuq7oMJ2d33PHgnPEA8MvLn/7AjmbQzmMYrarGiyUW9OFfiyhoq2qDQrTTS25lfOlGFDRQyMrVgOJw=="},
		{"1.1.100", "gO6ydCCdDP7khNtcjdNdM8ZqSFbymFG4AXtqZZd3OHopuKUwq9i/7h8v4LaBTGfMDJ8m8gW7qT32si9tbmFNZQ=="},
		{"1.1.400", "knrUlZBVxNhUJ4iN6XJGU1jqv+ROoHkK5G+U1XB8S0AexB1QB3pn6xYNlGSG8V5JFsl/apMHLxk6+WY9feWs9A=="},
		{"2.1.198", "cpFqEfpW1DW7MZYfJaknK5mNJZBgUwfroY0y1jSVy8Y93T4pmP0wp5HhXTOqZUbUbFppp0fwCyfttG9rsl3vqw=="},
	} {
		all = append(all, fixture{
			name: visitors, version: v[0], sum: v[1], license: "BSD-2-Clause", source: "github.com/intoli/user-agents",
			what:  "agents of real visitors, weighted by how often they came",
			files: []string{"src/user-agents.json.gz", "dist/user-agents.json"}, // either
		})
	}
	for _, v := range [][2]string{
		{"1.0.30001020", "yWIvwA68wRHKanAVS1GjN8vajAv7MBFshullKCeq/eKpK7pJBVDgFFEqvgWTkcP2+wIDeQGYFRXECjKZnLkUjA=="},
		{"1.0.30001093", "0+ODNoOjtWD5eS9aaIpf4K0gQqZfILNY4WSNuYzeT1sXni+lMrrVjc0odEobJt6wrODofDZUX8XYi/5y7+xl8g=="},
		{"1.0.30001173", "R3aqmjrICdGCTAnSXtNyvWYMK3YtV5jwudbq0T7nN9k4kmE4CBuwPqyJ+KBzepSTh0huivV2gLbSMEzTTmfeYw=="},
		{"1.0.30001241", "1uoSZ1Pq1VpH0WerIMqwptXHNNGfdl7d1cJUFs80CwQ/lVzdhTvsFZCeNFslze7AjsQnb4C85tzclPa1VShbeQ=="},
		{"1.0.30001294", "LiMlrs1nSKZ8qkNhpUf5KD0Al1KCBE3zaT7OLOwEkagXMEDij98SiOovn9wxVGQpklk9vVC/pUSqgYmkmKOS8g=="},
		{"1.0.30001359", "Xln/BAsPzEuiVLgJ2/45IaqD9jShtk3Y33anKb4+yLwQzws3+v6odKfpgES/cDEaZMLzSChpIGdbOYtH9MyuHw=="},
		{"1.0.30001441", "OyxRR4Vof59I3yGWXws6i908EtGbMzVUi3ganaZQHmydk1iwDhRnvaPG2WaR0KcqrDFKrxVZHULT396LEPhXfg=="},
		{"1.0.30001512", "2S9nK0G/mE+jasCUsMPlARhRCts1ebcp2Ji8Y8PWi4NDE1iRdLCnEPHkEfeBrGC45L4isBx5ur3IQ6yTE2mRZw=="},
		{"1.0.30001574", "BtYEK4r/iHt/txm81KBudCUcTy7t+s9emrIaHqjYurQ10x71zJ5VQ9x1dYPcz/b+pKSp4y/v1xSI67A+LzpNyg=="},
		{"1.0.30001640", "lA4VMpW0PSUrFnkmVuEKBUovSWKhj7puyCg8StBChgu298N1AtuF1sKWEvfDuimSEDbhlb/KqPKC3fs1HbuQUA=="},
		{"1.0.30001690", "5ExiE3qQN6oF8Clf8ifIDcMRCRE/dMGcETG/XGMD8/XiXm6HXQgQTh1yZYLXXpSOsEUlJm1Xr7kGULZTuGtP/w=="},
		{"1.0.30001726", "VQAUIUzBiZ/UnlM28fSp2CRF3ivUn1BWEvxMcVTNwpw91Py1pGbPIyIKtd+tzct9C3ouceCVdGAXxZOpZAsgdw=="},
		{"1.0.30001761", "JF9ptu1vP2coz98+5051jZ4PwQgd2ni8A+gYSN7EA7dPKIMf0pDlSUxhdmVOaV3/fYK5uWBkgSXJaRLr4+3A6g=="},
		{"1.0.30001826", "wTB+9tIbLro/BCXwLuNV1meHE4L9dS6dArMDwgYfNBPMYScqClHyGunhkCSDtHhe/69Xl0sHlKgBVZ+fNsYtWA=="},
	} {
		all = append(all, fixture{
			name: caniuse, version: v[0], sum: v[1], license: "CC-BY-4.0", source: "github.com/browserslist/caniuse-lite",
			what: "how much each browser was used, in the world", files: []string{"data/agents.js", "data/browsers.js"},
		})
	}
	return all
}

// fetchTime is how long npm may take for one package, the largest of which has
// half a megabyte.
const fetchTime = 2 * time.Minute

// maxFile bounds a file of a package, in bytes: several times the largest.
const maxFile = 64 << 20

// store fetches fixtures with the ordinary clients, npm and go, and keeps what
// was fetched in a folder, so that a later run needs no network.
type store struct {
	dir string
	log io.Writer
}

// defaultStore is the folder where fixtures are kept between runs.
func defaultStore() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder to keep fixtures in: %w; name one with -enrich-cache", err)
	}
	return filepath.Join(cache, "reuna-fixtures"), nil
}

// open gives the files of a fixture that are there, by their path in the package.
func (s *store) open(ctx context.Context, f *fixture) (map[string][]byte, error) {
	files, err := map[string][]byte(nil), error(nil)
	if f.goModule {
		files, err = s.module(ctx, f)
	} else {
		files, err = s.npm(ctx, f)
	}
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("none of %s is in it", strings.Join(f.files, ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("fixture %s %s: %w", f.name, f.version, err)
	}
	return files, nil
}

// module asks the Go command, whose own cache keeps the module.
func (s *store) module(ctx context.Context, f *fixture) (map[string][]byte, error) {
	c := exec.CommandContext(ctx, "go", "mod", "download", "-json", f.name+"@"+f.version)
	c.Dir = os.TempDir() // outside of any module: nothing here depends on the fixture
	c.Env = append(os.Environ(), "GOWORK=off")
	var out, problem bytes.Buffer
	c.Stdout, c.Stderr = &out, &problem
	runErr := c.Run()
	var told struct{ Dir, Error string }
	if err := json.Unmarshal(out.Bytes(), &told); err != nil || runErr != nil || told.Error != "" {
		return nil, fmt.Errorf("go mod download: %w: %s%s; the first run needs the network", errors.Join(runErr, err), told.Error, bytes.TrimSpace(problem.Bytes()))
	}
	files := map[string][]byte{}
	for _, name := range f.files {
		data, err := os.ReadFile(filepath.Join(told.Dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		files[name] = data
	}
	return files, nil
}

// npm keeps the package as npm packed it. What is kept is checked each time.
func (s *store) npm(ctx context.Context, f *fixture) (map[string][]byte, error) {
	kept := filepath.Join(s.dir, f.name+"-"+f.version+".tgz")
	data, err := os.ReadFile(kept)
	if errors.Is(err, os.ErrNotExist) {
		data, err = s.pack(ctx, f, kept)
	}
	if err != nil {
		return nil, err
	}
	if sum := sha512.Sum512(data); base64.StdEncoding.EncodeToString(sum[:]) != f.sum {
		return nil, fmt.Errorf("%s is not the package that was published: its SHA-512 differs from the one in benchmarks/enrich/fixtures.go; delete the file and run again", kept)
	}
	return unpack(data, f.files)
}

// pack lets npm fetch a package, and moves it to where it is kept when it is whole.
func (s *store) pack(ctx context.Context, f *fixture, kept string) (data []byte, err error) {
	fmt.Fprintf(s.log, "fetching %s %s\n", f.name, f.version)
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(s.dir, "fetching-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, stop := context.WithTimeout(ctx, fetchTime)
	defer stop()
	// Without a network npm alone would try again for minutes.
	c := exec.CommandContext(ctx, "npm", "pack", "--loglevel=error", "--ignore-scripts", "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=30000", f.name+"@"+f.version)
	c.WaitDelay = time.Second
	c.Dir = dir
	if out, err := c.CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return nil, errors.New("npm is not on the PATH: install Node.js with npm, or run where the fixtures are kept already (" + s.dir + ")")
		}
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return nil, fmt.Errorf("npm pack: %w: %s; the first run needs the network", err, lastLines(out))
	}
	packed := filepath.Join(dir, f.name+"-"+f.version+".tgz")
	if data, err = os.ReadFile(packed); err != nil {
		return nil, err
	}
	return data, os.Rename(packed, kept)
}

// lastLines are the end of what a command printed.
func lastLines(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-4):], "; ")
}

// unpack reads some files of a package that npm packed.
func unpack(packed []byte, names []string) (map[string][]byte, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for archive := tar.NewReader(zipped); ; {
		head, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if head.Name != path.Join("package", name) {
				continue
			}
			if files[name], err = readUpTo(archive, maxFile); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
}

func readUpTo(in io.Reader, most int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(in, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("more than %d bytes", most)
	}
	return data, err
}
