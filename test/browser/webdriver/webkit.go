package webdriver

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"cognito-token-handler/test/devstack/process"
)

// miniBrowsers finds the program, which is in a folder with the name of the machine's architecture.
const miniBrowsers = "/usr/lib/*/webkit*gtk-*/MiniBrowser"

// WebKit starts WebKitGTK's MiniBrowser, on a screen of its own. What it keeps is in dir.
func WebKit(ctx context.Context, dir string) (*Browser, error) {
	b := &Browser{}
	if err := b.startWebKit(ctx, dir); err != nil {
		b.Close()
		return nil, fmt.Errorf("starting WebKit: %w", err)
	}
	return b, nil
}

func (b *Browser) startWebKit(ctx context.Context, dir string) error {
	programs, err := filepath.Glob(miniBrowsers)
	if err != nil || len(programs) == 0 {
		return fmt.Errorf("there is no %s (run `make tools`)", miniBrowsers)
	}
	display, err := b.startScreen(ctx)
	if err != nil {
		return err
	}
	port, err := process.FreePort()
	if err != nil {
		return err
	}
	env := append(process.Environment(), "HOME="+dir, "DISPLAY="+display, "TZ=UTC",
		"WEBKIT_DISABLE_COMPOSITING_MODE=1", "NO_AT_BRIDGE=1", "GSETTINGS_BACKEND=memory")
	driver, err := b.start(process.Spec{Name: "WebKitWebDriver", Path: "WebKitWebDriver", Env: env, Args: []string{"--port=" + strconv.Itoa(port)}})
	if err != nil {
		return err
	}
	wire := &webKit{url: "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port))}
	if err := driver.AwaitOK(ctx, wire.url+"/status"); err != nil {
		return err
	}
	b.wire = wire
	id, err := b.newSession(ctx, map[string]any{
		"browserName": "MiniBrowser", "webkitgtk:browserOptions": map[string]any{"binary": programs[0], "args": []string{"--automation"}},
	})
	wire.session = "/session/" + id
	return err
}

// startScreen starts an X server that draws to memory, and returns its name.
func (b *Browser) startScreen(ctx context.Context) (string, error) {
	numbers := make(chan string, 1)
	screen, err := b.start(process.Spec{
		Name: "Xvfb", Path: "Xvfb", Env: process.Environment(),
		Args: []string{"-displayfd", "1", "-screen", "0", "1280x1000x24", "-nolisten", "tcp"},
		OnLine: func(line string) {
			if _, err := strconv.Atoi(line); err == nil {
				select {
				case numbers <- line:
				default:
				}
			}
		},
	})
	if err != nil {
		return "", err
	}
	select {
	case number := <-numbers:
		return ":" + number, nil
	case <-screen.Done():
		return "", screen.Err()
	case <-ctx.Done():
		return "", fmt.Errorf("waiting for Xvfb: %w", context.Cause(ctx))
	}
}

// webKit sends the commands to WebKitWebDriver.
type webKit struct {
	url     string
	session string // path of the session
}

// endpoints are the method and the path of each command. An element is named in the path.
//
//nolint:gochecknoglobals // a constant
var endpoints = map[string]string{
	"Navigate":           "POST /url",
	"Refresh":            "POST /refresh",
	"ExecuteAsyncScript": "POST /execute/async",
	"FindElement":        "POST /element",
	"ElementClick":       "POST /element/{id}/click",
	"ElementSendKeys":    "POST /element/{id}/value",
	"GetCookies":         "GET /cookie",
	"GetWindowHandle":    "GET /window",
	"NewWindow":          "POST /window/new",
	"SwitchToWindow":     "POST /window",
	"TakeScreenshot":     "GET /screenshot",
}

func (w *webKit) call(ctx context.Context, command string, params map[string]any) (json.RawMessage, error) {
	method, path, _ := strings.Cut(endpoints[command], " ")
	path = w.session + path
	if command == "NewSession" {
		method, path = http.MethodPost, "/session"
	}
	if id, ok := params["id"].(string); ok {
		path = strings.Replace(path, "{id}", id, 1)
	}
	if params == nil {
		params = map[string]any{} // a POST has a body
	}
	return w.send(ctx, method, path, params)
}

func (w *webKit) close() {
	if w.session == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), endTime)
	defer cancel()
	_, _ = w.send(ctx, http.MethodDelete, w.session, nil)
}

func (w *webKit) send(ctx context.Context, method, path string, params map[string]any) (json.RawMessage, error) {
	body, err := json.Marshal(params)
	if err != nil {
		return nil, err
	}
	if method != http.MethodPost {
		body = nil
	}
	request, err := http.NewRequestWithContext(ctx, method, w.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking WebKitWebDriver: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return nil, fmt.Errorf("reading WebKitWebDriver's answer: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: %s", method, path, answer.Value)
	}
	return answer.Value, nil
}
