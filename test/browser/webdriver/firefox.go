package webdriver

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cognito-token-handler/test/devstack/process"
)

// preferences of Firefox. Marionette itself turns off updates, reports and the like.
const preferences = `user_pref("marionette.port", 0);
user_pref("ui.prefersReducedMotion", 1);
user_pref("network.connectivity-service.enabled", false);
user_pref("services.settings.server", "data:,");
`

// Firefox starts Debian's Firefox. Its profile is in dir, which must be empty.
func Firefox(ctx context.Context, dir string) (*Browser, error) {
	if err := os.WriteFile(filepath.Join(dir, "user.js"), []byte(preferences), 0o600); err != nil {
		return nil, fmt.Errorf("starting Firefox: %w", err)
	}
	b := &Browser{}
	child, err := b.start(process.Spec{
		Name: "firefox-esr", Path: "firefox-esr", Env: append(process.Environment(), "HOME="+dir, "TZ=UTC"),
		Args: []string{"--headless", "--no-remote", "--profile", dir, "--marionette", "about:blank"},
	})
	if err == nil {
		err = b.connect(ctx, child, filepath.Join(dir, "MarionetteActivePort"))
	}
	if err == nil {
		_, err = b.newSession(ctx, map[string]any{})
	}
	if err != nil {
		b.Close()
		return nil, fmt.Errorf("starting Firefox: %w", err)
	}
	return b, nil
}

// connect waits for the port, which Firefox chooses and writes to a file.
func (b *Browser) connect(ctx context.Context, child *process.Process, file string) error {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		port, err := os.ReadFile(file)
		if err == nil && len(port) > 0 {
			b.wire, err = dial(ctx, strings.TrimSpace(string(port)))
			return err
		}
		select {
		case <-tick.C:
		case <-child.Done():
			return child.Err()
		case <-ctx.Done():
			return fmt.Errorf("waiting for its port: %w", context.Cause(ctx))
		}
	}
}

// marionette is a connection of Firefox's Marionette protocol, version 3: messages are JSON arrays, each with its length and a colon before it.
type marionette struct {
	conn net.Conn
	in   *bufio.Reader
	last int // id of the last command
}

func dial(ctx context.Context, port string) (*marionette, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return nil, err
	}
	m := &marionette{conn: conn, in: bufio.NewReader(conn)}
	stop := context.AfterFunc(ctx, m.close)
	defer stop()
	if _, err := m.read(); err != nil { // its greeting
		m.close()
		return nil, err
	}
	return m, nil
}

func (m *marionette) close() { _ = m.conn.Close() }

func (m *marionette) call(ctx context.Context, command string, params map[string]any) (json.RawMessage, error) {
	m.last++
	message, err := json.Marshal([]any{0, m.last, "WebDriver:" + command, params})
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, m.close)
	defer stop()
	if _, err := fmt.Fprintf(m.conn, "%d:%s", len(message), message); err != nil {
		return nil, fmt.Errorf("sending %s: %w", command, err)
	}
	raw, err := m.read()
	if err != nil {
		return nil, fmt.Errorf("reading the answer to %s: %w", command, err)
	}
	var (
		id     [2]int
		fault  *struct{ Error, Message string }
		result json.RawMessage
	)
	if err := json.Unmarshal(raw, &[]any{&id[0], &id[1], &fault, &result}); err != nil {
		return nil, fmt.Errorf("reading the answer to %s: %w", command, err)
	}
	if fault != nil {
		return nil, fmt.Errorf("%s: %s: %s", command, fault.Error, fault.Message)
	}
	return unwrap(result), nil
}

func (m *marionette) read() ([]byte, error) {
	length, err := m.in.ReadString(':')
	if err != nil {
		return nil, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(length, ":"))
	if err != nil || n < 0 {
		return nil, errors.Join(errors.New("a message without its length"), err)
	}
	message := make([]byte, n)
	_, err = io.ReadFull(m.in, message)
	return message, err
}

// unwrap returns the member value of a result that has nothing else, as most have.
func unwrap(result json.RawMessage) json.RawMessage {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(result, &members); err == nil && len(members) == 1 && members["value"] != nil {
		return members["value"]
	}
	return result
}
