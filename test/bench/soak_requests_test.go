//go:build e2e

package bench_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"cognito-token-handler/test/testkit"
)

// cancelAfter is how long a client waits before it cancels its request.
const cancelAfter = 20 * time.Millisecond

var errBroken = errors.New("the client breaks off")

// request is a request that the simulated browser does not make. Cookies of its response
// are not stored.
type request struct {
	method, path string
	body         io.Reader
	length       int64 // -1: in chunks
	header       map[string]string
}

func (b *browser) send(ctx context.Context, q request) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, q.method, publicURL+q.path, q.body)
	if err != nil {
		return nil, err
	}
	r.ContentLength = q.length
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.Header.Set("Cookie", b.cookies())
	for name, value := range q.header {
		r.Header.Set(name, value)
	}
	return b.worker.transport.RoundTrip(r)
}

// expect sends a request and compares the status. It reads the whole response, so that
// the connection is used again.
func (b *browser) expect(q request, want int) error {
	answer, err := b.send(context.Background(), q)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	_, err = io.Copy(io.Discard, answer.Body)
	return checkStatus(answer.StatusCode, want, err)
}

func (b *browser) verify() error {
	return b.expect(request{
		method: http.MethodGet, path: "/auth/verify", header: map[string]string{"X-Auth-Request-Secret": soakSecret},
	}, http.StatusNoContent)
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func (b *browser) upload(length int64) error {
	return b.expect(request{method: http.MethodPost, path: "/api/upload", body: io.LimitReader(zeros{}, uploadSize), length: length}, http.StatusOK)
}

// brokenUpload closes the connection in the middle of the body.
func (b *browser) brokenUpload() error {
	half := io.MultiReader(io.LimitReader(zeros{}, uploadSize/2), failing{})
	err := b.expect(request{method: http.MethodPost, path: "/api/upload", body: half, length: uploadSize}, http.StatusBadRequest)
	if errors.Is(err, errBroken) {
		return nil
	}
	return err
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errBroken }

// read reads the first size bytes of a response and closes the connection if there are
// more.
func (b *browser) read(path string, size int64) error {
	answer, err := b.send(context.Background(), request{method: http.MethodGet, path: path})
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusOK {
		_, err = io.CopyN(io.Discard, answer.Body, size)
	}
	return checkStatus(answer.StatusCode, http.StatusOK, err)
}

// cancelRequest closes the connection before there is a response.
func (b *browser) cancelRequest() error {
	ctx, cancel := context.WithTimeout(context.Background(), cancelAfter)
	defer cancel()
	answer, err := b.send(ctx, request{method: http.MethodGet, path: "/api/hang"})
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	if err == nil {
		_ = answer.Body.Close()
		return checkStatus(answer.StatusCode, 0, nil)
	}
	return err
}

// forgedSession sends a session cookie that was changed.
func (b *browser) forgedSession() error {
	name := testkit.Cookies(publicURL).Session
	forged := strings.Replace(b.cookies(), name+"=", name+"=A", 1)
	return b.expect(request{method: http.MethodGet, path: "/api/data", header: map[string]string{"Cookie": forged}}, http.StatusUnauthorized)
}

// tooLarge sends Expect: 100-continue, so that it receives the 413 before the connection
// is closed.
func (b *browser) tooLarge() error {
	return b.expect(request{
		method: http.MethodPost, path: "/api/upload", body: io.LimitReader(zeros{}, 2*maxUpload), length: 2 * maxUpload,
		header: map[string]string{"Expect": "100-continue"},
	}, http.StatusRequestEntityTooLarge)
}

// withoutSession navigates without cookies of the service.
func (b *browser) withoutSession(path string, want int) error {
	return b.expect(request{method: http.MethodGet, path: path, header: map[string]string{
		"Cookie": "a=b", "Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document",
	}}, want)
}

func (b *browser) dial(header http.Header) (*websocket.Conn, error) {
	header.Set("Cookie", b.cookies())
	conn, answer, err := websocket.Dial(context.Background(), publicURL+"/api/socket", &websocket.DialOptions{ //nolint:bodyclose // it is the socket
		HTTPHeader: header, HTTPClient: &http.Client{Transport: b.worker.transport},
	})
	if err != nil && answer != nil {
		return nil, checkStatus(answer.StatusCode, http.StatusSwitchingProtocols, nil)
	}
	return conn, err
}

// socket opens a WebSocket, sends a message, waits for its echo, and calls end.
func (b *browser) socket(end func(*websocket.Conn) error) error {
	conn, err := b.dial(http.Header{"Origin": {publicURL}})
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()
	ctx, cancel := context.WithTimeout(context.Background(), cleanupTime)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		return err
	}
	if _, message, err := conn.Read(ctx); string(message) != "hello" {
		return errors.Join(errors.New("no echo"), err)
	}
	return end(conn)
}

func (b *browser) socketWithoutOrigin() error {
	conn, err := b.dial(http.Header{"Sec-Fetch-Site": {"same-origin"}})
	if err == nil {
		_ = conn.CloseNow()
		return errors.New("the WebSocket was opened")
	}
	if errors.Is(err, errSignedOut) || !strings.Contains(err.Error(), "403") {
		return err
	}
	return nil
}
