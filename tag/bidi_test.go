package tag_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// fox is a running Firefox, driven by WebDriver BiDi (w3.org/TR/webdriver-bidi):
// numbered commands as JSON over one websocket, each with one answer.
type fox struct {
	conn  *websocket.Conn
	write sync.Mutex

	mu      sync.Mutex
	last    int
	waiting map[int]chan foxAnswer
	err     error // why the connection is over
}

type foxAnswer struct {
	ID      int
	Type    string // "success", "error", or "event", which has no ID
	Result  json.RawMessage
	Error   string
	Message string
}

// foxSettings make Firefox start quietly and turn to this machine alone: what
// is not on 127.0.0.1 goes to a proxy that nobody runs. Its clocks are not rounded:
// a frame at 299.9 ms would else be told as one at 300.
const foxSettings = `user_pref("network.proxy.type", 1);
user_pref("network.proxy.http", "127.0.0.1");
user_pref("network.proxy.http_port", 9);
user_pref("network.proxy.ssl", "127.0.0.1");
user_pref("network.proxy.ssl_port", 9);
user_pref("network.proxy.no_proxies_on", "127.0.0.1, localhost");
user_pref("app.update.disabledForTesting", true);
user_pref("app.normandy.enabled", false);
user_pref("browser.chrome.site_icons", false);
user_pref("browser.shell.checkDefaultBrowser", false);
user_pref("browser.startup.page", 0);
user_pref("datareporting.policy.dataSubmissionEnabled", false);
user_pref("privacy.reduceTimerPrecision", false);
user_pref("privacy.reduceTimerPrecision.unconditional", false);
user_pref("services.settings.server", "data:,#remote-settings-dummy/v1");
user_pref("toolkit.telemetry.enabled", false);
`

// startFox starts Firefox with a profile of its own and waits until it listens.
// stop ends it and removes the profile.
func startFox(path string) (f *fox, stop func(), err error) {
	profile, err := os.MkdirTemp("", "reuna-firefox-")
	if err != nil {
		return nil, nil, err
	}
	clear := func() { _ = os.RemoveAll(profile) } // a process that is still writing there leaves a file in the folder for temporary ones
	if err := os.WriteFile(filepath.Join(profile, "user.js"), []byte(foxSettings), 0o600); err != nil {
		clear()
		return nil, nil, err
	}
	// A websocket from Go names an origin, and Firefox takes none unasked.
	const origin = "http://127.0.0.1"
	cmd := exec.Command(path, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0", "--remote-allow-origins", origin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // its children are to end with it
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		clear()
		return nil, nil, err
	}
	stop = func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // it may be gone already
		_ = cmd.Wait()                                      // "signal: killed", as wanted
		clear()
	}
	address := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			if _, at, ok := strings.Cut(lines.Text(), "WebDriver BiDi listening on "); ok {
				address <- at
			}
		}
		_, _ = io.Copy(io.Discard, said) // whatever is too long for a line
	}()
	select {
	case at := <-address:
		f, err = dialFox(at+"/session", origin)
	case <-time.After(3 * patience):
		err = fmt.Errorf("Firefox did not listen within %v", 3*patience)
	}
	if err != nil {
		stop()
		return nil, nil, err
	}
	return f, stop, nil
}

func dialFox(address, origin string) (*fox, error) {
	conn, err := websocket.Dial(address, "", origin)
	if err != nil {
		return nil, err
	}
	f := &fox{conn: conn, waiting: map[int]chan foxAnswer{}}
	go f.read()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	return f, f.call(ctx, "session.new", map[string]any{"capabilities": map[string]any{}}, nil)
}

func (f *fox) read() {
	for {
		var a foxAnswer
		err := websocket.JSON.Receive(f.conn, &a)
		f.mu.Lock()
		if err != nil {
			f.err = errors.Join(errors.New("the connection to Firefox is over"), err)
			for _, w := range f.waiting {
				close(w)
			}
			clear(f.waiting)
			f.mu.Unlock()
			return
		}
		if w := f.waiting[a.ID]; w != nil && a.Type != "event" {
			delete(f.waiting, a.ID)
			w <- a
		}
		f.mu.Unlock()
	}
}

// call sends a command and waits for its answer; result may be nil.
func (f *fox) call(ctx context.Context, method string, params map[string]any, result any) error {
	answered := make(chan foxAnswer, 1)
	f.mu.Lock()
	if f.err != nil {
		f.mu.Unlock()
		return f.err
	}
	f.last++
	id := f.last
	f.waiting[id] = answered
	f.mu.Unlock()
	f.write.Lock()
	err := websocket.JSON.Send(f.conn, map[string]any{"id": id, "method": method, "params": params})
	f.write.Unlock()
	if err != nil {
		return err
	}
	select {
	case a, ok := <-answered:
		switch {
		case !ok:
			return f.err
		case a.Type != "success":
			return fmt.Errorf("%s: %s: %s", method, a.Error, a.Message)
		case result == nil:
			return nil
		}
		return json.Unmarshal(a.Result, result)
	case <-ctx.Done():
		f.mu.Lock()
		delete(f.waiting, id)
		f.mu.Unlock()
		return fmt.Errorf("%s: %w", method, context.Cause(ctx))
	}
}

// foxTab is a tab with storage and cookies of its own.
type foxTab struct {
	*fox
	tab, user string
}

func newFoxTab(t *testing.T, f *fox) *foxTab {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	var user struct{ UserContext string }
	if err := f.call(ctx, "browser.createUserContext", map[string]any{}, &user); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// The test's own context is over by now.
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := f.call(ctx, "browser.removeUserContext", map[string]any{"userContext": user.UserContext}, nil); err != nil {
			t.Logf("closing Firefox's tab: %v", err)
		}
	})
	var tab struct{ Context string }
	if err := f.call(ctx, "browsingContext.create", map[string]any{"type": "tab", "userContext": user.UserContext}, &tab); err != nil {
		t.Fatal(err)
	}
	return &foxTab{f, tab.Context, user.UserContext}
}

// visit goes to an address; wait is "none", "interactive" or "complete".
func (f *foxTab) visit(ctx context.Context, url, wait string) error {
	return f.call(ctx, "browsingContext.navigate", map[string]any{"context": f.tab, "url": url, "wait": wait}, nil)
}

// offline cuts the tab off from its network, and connects it again.
func (f *foxTab) offline(ctx context.Context, yes bool) error {
	var conditions any
	if yes {
		conditions = map[string]any{"type": "offline"}
	}
	return f.call(ctx, "emulation.setNetworkConditions", map[string]any{"contexts": []string{f.tab}, "networkConditions": conditions}, nil)
}

// eval runs a script and waits for its promise. With a result the script is one
// expression, whose value is read by way of JSON.
func (f *foxTab) eval(ctx context.Context, script string, result any) error {
	type remote struct {
		Type  string
		Value json.RawMessage
	}
	var answer struct {
		Type             string
		Result           remote
		ExceptionDetails struct{ Text string }
	}
	expression := script
	if result != nil {
		expression = "(async () => JSON.stringify(await (" + script + ")))()"
	}
	if err := f.call(ctx, "script.evaluate", map[string]any{
		"expression": expression, "target": map[string]any{"context": f.tab}, "awaitPromise": true,
		"serializationOptions": map[string]any{"maxObjectDepth": 0, "maxDomDepth": 0},
	}, &answer); err != nil {
		return err
	}
	if answer.Type != "success" {
		return errors.New(answer.ExceptionDetails.Text)
	}
	if result == nil || answer.Result.Type == "undefined" {
		return nil
	}
	var value string
	if err := json.Unmarshal(answer.Result.Value, &value); err != nil {
		return err
	}
	return json.Unmarshal([]byte(value), result)
}
