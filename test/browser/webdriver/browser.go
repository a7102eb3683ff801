package webdriver

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/testkit"
)

// Enter is the key, among what [Browser.Type] types.
const Enter = "\uE007"

// elementID is the member that names an element (WebDriver section 11).
const elementID = "element-6066-11e4-a52e-4f735466cecf"

// endTime is how long a program may take to end.
const endTime = 5 * time.Second

// Browser is a browser with an empty profile, and one window at first.
type Browser struct {
	Version string

	wire      wire
	processes []*process.Process // in the order of their start
}

// wire carries the commands of WebDriver. The names are Marionette's.
type wire interface {
	call(ctx context.Context, command string, params map[string]any) (json.RawMessage, error)
	close()
}

// Cookie is a cookie of the page's host, as the browser keeps it.
type Cookie struct {
	Name     string
	Value    string
	Path     string
	Secure   bool
	HTTPOnly bool
	SameSite string
}

// Close ends the browser and what was started with it.
func (b *Browser) Close() {
	if b.wire != nil {
		b.wire.close()
	}
	for _, child := range slices.Backward(b.processes) {
		child.Stop(endTime)
	}
}

// call sends a command, which fails if the answer takes longer than [testkit.Deadline].
func (b *Browser) call(ctx context.Context, command string, params map[string]any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, testkit.Deadline)
	defer cancel()
	return b.wire.call(ctx, command, params)
}

// Output returns what the programs have written.
func (b *Browser) Output() string {
	var out strings.Builder
	for _, child := range b.processes {
		out.WriteString(child.Output())
	}
	return out.String()
}

// Open goes to an address, and returns when the page is there.
func (b *Browser) Open(ctx context.Context, address string) error {
	_, err := b.call(ctx, "Navigate", map[string]any{"url": address})
	return err
}

// Reload loads the page again.
func (b *Browser) Reload(ctx context.Context) error {
	_, err := b.call(ctx, "Refresh", nil)
	return err
}

// Run evaluates an expression in the page and stores its value, awaiting a promise, in value unless that is nil.
func (b *Browser) Run(ctx context.Context, expression string, value any) error {
	// The expression is part of the script, because the page's policy forbids eval.
	script := `const done = arguments[arguments.length - 1]
		Promise.resolve().then(() => (` + expression + `)).then((value) => done({ value }), (error) => done({ error: String(error) }))`
	raw, err := b.call(ctx, "ExecuteAsyncScript", map[string]any{"script": script, "args": []any{}})
	if err != nil {
		return err
	}
	var result struct {
		Value json.RawMessage
		Error string
	}
	if err := json.Unmarshal(raw, &result); err != nil {
		return fmt.Errorf("reading a value of the page: %w", err)
	}
	if result.Error != "" {
		return fmt.Errorf("evaluating %.200s: %s", expression, result.Error)
	}
	if value == nil || result.Value == nil {
		return nil
	}
	return json.Unmarshal(result.Value, value)
}

// Click clicks the first element that the selector finds, as a mouse does.
func (b *Browser) Click(ctx context.Context, css string) error {
	id, err := b.find(ctx, css)
	if err != nil {
		return err
	}
	_, err = b.call(ctx, "ElementClick", map[string]any{"id": id})
	return err
}

// Type types into an element. Into one for files it is the path of the file.
func (b *Browser) Type(ctx context.Context, css, text string) error {
	id, err := b.find(ctx, css)
	if err != nil {
		return err
	}
	_, err = b.call(ctx, "ElementSendKeys", map[string]any{"id": id, "text": text})
	return err
}

func (b *Browser) find(ctx context.Context, css string) (string, error) {
	raw, err := b.call(ctx, "FindElement", map[string]any{"using": "css selector", "value": css})
	if err != nil {
		return "", fmt.Errorf("finding %s: %w", css, err)
	}
	var element map[string]string
	if err := json.Unmarshal(raw, &element); err != nil {
		return "", fmt.Errorf("finding %s: %w", css, err)
	}
	return element[elementID], nil
}

// Cookies returns the cookies that the page's address gets, HttpOnly ones included.
func (b *Browser) Cookies(ctx context.Context) ([]Cookie, error) {
	raw, err := b.call(ctx, "GetCookies", nil)
	if err != nil {
		return nil, err
	}
	var cookies []Cookie
	return cookies, json.Unmarshal(raw, &cookies)
}

// Window returns the name of the window that the commands go to.
func (b *Browser) Window(ctx context.Context) (string, error) {
	raw, err := b.call(ctx, "GetWindowHandle", nil)
	if err != nil {
		return "", err
	}
	var handle string
	return handle, json.Unmarshal(raw, &handle)
}

// NewTab opens an empty tab and returns its name. The commands go to the window that was there.
func (b *Browser) NewTab(ctx context.Context) (string, error) {
	raw, err := b.call(ctx, "NewWindow", map[string]any{"type": "tab"})
	if err != nil {
		return "", err
	}
	var window struct{ Handle string }
	return window.Handle, json.Unmarshal(raw, &window)
}

// Switch sends the commands to another window.
func (b *Browser) Switch(ctx context.Context, window string) error {
	_, err := b.call(ctx, "SwitchToWindow", map[string]any{"handle": window})
	return err
}

// Screenshot returns a picture of the window (PNG).
func (b *Browser) Screenshot(ctx context.Context) ([]byte, error) {
	raw, err := b.call(ctx, "TakeScreenshot", map[string]any{"full": false})
	if err != nil {
		return nil, err
	}
	var picture []byte // in Base64
	return picture, json.Unmarshal(raw, &picture)
}

// newSession begins the session without which a browser takes no command. By default, a browser gives a script half a minute.
func (b *Browser) newSession(ctx context.Context, capabilities map[string]any) (id string, err error) {
	patience := testkit.Deadline.Milliseconds()
	capabilities["timeouts"] = map[string]any{"script": patience, "pageLoad": patience}
	raw, err := b.call(ctx, "NewSession", map[string]any{"capabilities": map[string]any{"alwaysMatch": capabilities}})
	if err != nil {
		return "", err
	}
	var session struct {
		SessionID    string
		Capabilities struct{ BrowserVersion string }
	}
	if err := json.Unmarshal(raw, &session); err != nil {
		return "", fmt.Errorf("beginning a session: %w", err)
	}
	b.Version = session.Capabilities.BrowserVersion
	return session.SessionID, nil
}

// start starts a program that ends with the browser.
func (b *Browser) start(spec process.Spec) (*process.Process, error) {
	path, err := exec.LookPath(spec.Path)
	if err != nil {
		return nil, fmt.Errorf("%s is not installed (run `make tools`): %w", spec.Name, err)
	}
	spec.Path = path
	child, err := process.Start(spec)
	if err == nil {
		b.processes = append(b.processes, child)
	}
	return child, err
}
