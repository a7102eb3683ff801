//go:build e2e

package bench_test

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"
)

const (
	// transferred does not fit in 32 bits, and is the limit of the route.
	transferred = 5 << 30
	// warmUp is the size of the transfers before the measurement.
	warmUp = 64 << 20
	// growth is how much more memory the process may use for the large transfers.
	growth = 8 << 20
	// transferLimits are the limits of the route. Each transfer takes longer than the
	// time-out.
	transferLimits = ", max_body: 5GiB, timeout: 1s"
)

// pattern is the content of a transfer, which repeats it. Its length has no factor in
// common with that of a buffer, so that lost, repeated or misplaced bytes are detected.
type pattern struct{ twice []byte }

const patternLen = 1<<20 - 3

func newPattern() pattern {
	once := make([]byte, patternLen)
	_, _ = rand.Read(once) // never fails
	return pattern{bytes.Repeat(once, 2)}
}

// writeTo writes the first n bytes of the repeated pattern, in pieces. If frame is not
// nil, it returns what to write before and after a piece of the given size.
func (p pattern) writeTo(w io.Writer, n int64, frame func(size int) (head, tail string)) error {
	for n > 0 {
		piece := p.twice[:min(n, patternLen)]
		n -= int64(len(piece))
		parts := net.Buffers{piece}
		if frame != nil {
			head, tail := frame(len(piece))
			parts = net.Buffers{[]byte(head), piece, []byte(tail)}
		}
		if _, err := parts.WriteTo(w); err != nil {
			return err
		}
	}
	return nil
}

// reader compares the bytes that arrive with the pattern.
type reader struct {
	pattern pattern
	n       int64
	wrong   bool
}

// Write implements [io.Writer].
func (r *reader) Write(b []byte) (int, error) {
	at := r.n % patternLen
	r.wrong = r.wrong || !bytes.Equal(b, r.pattern.twice[at:at+int64(len(b))])
	r.n += int64(len(b))
	return len(b), nil
}

// read reads all of body and returns a text that says how much was read.
func (p pattern) read(body io.Reader) string {
	r := &reader{pattern: p}
	_, err := io.CopyBuffer(r, body, make([]byte, 256<<10))
	return fmt.Sprintf("%d bytes, wrong: %v, %v", r.n, r.wrong, err)
}

// TestTransferOfGigabytes checks that uploads with and without a length, and a download,
// are complete, that the route's time-out does not end them, and that they need no more
// memory than small ones.
func TestTransferOfGigabytes(t *testing.T) {
	text := newPattern()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			_, _ = io.WriteString(w, text.read(r.Body))
			return
		}
		size, _ := strconv.ParseInt(r.URL.Query().Get("size"), 10, 64)
		w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
		_ = text.writeTo(w, size, nil)
	}))
	t.Cleanup(upstream.Close)
	at, cookies := startService(t, upstream.URL, transferLimits)
	head := func(method string, size int64, more string) string {
		return fmt.Sprintf("%s /api/file?size=%d HTTP/1.1\r\nHost: localhost:8080\r\nSec-Fetch-Site: same-origin\r\nCookie: %s\r\n%s\r\n", method, size, cookies, more)
	}
	ways := map[string]func(conn net.Conn, size int64) error{
		"upload with a length": func(conn net.Conn, size int64) error {
			_, _ = io.WriteString(conn, head(http.MethodPut, size, fmt.Sprintf("Content-Length: %d\r\n", size)))
			return text.writeTo(conn, size, nil)
		},
		"upload in chunks": func(conn net.Conn, size int64) error {
			_, _ = io.WriteString(conn, head(http.MethodPut, size, "Transfer-Encoding: chunked\r\n"))
			err := text.writeTo(conn, size, func(size int) (head, tail string) { return fmt.Sprintf("%x\r\n", size), "\r\n" })
			_, _ = io.WriteString(conn, "0\r\n\r\n")
			return err
		},
		"download": func(conn net.Conn, size int64) error {
			_, err := io.WriteString(conn, head(http.MethodGet, size, ""))
			return err
		},
	}
	transfer := func(t *testing.T, way string, size int64) {
		t.Helper()
		conn, err := net.Dial("tcp", at.Ours)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		if err := ways[way](conn, size); err != nil {
			t.Fatal(err)
		}
		answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = answer.Body.Close() }()
		var got string
		if way == "download" {
			got = text.read(answer.Body)
		} else {
			said, _ := io.ReadAll(answer.Body)
			got = string(said)
		}
		if want := fmt.Sprintf("%d bytes, wrong: false, <nil>", size); answer.StatusCode != http.StatusOK || got != want {
			t.Errorf("answered %d: %s, want %s", answer.StatusCode, got, want)
		}
	}
	for way := range ways {
		transfer(t, way, warmUp)
	}
	before := ask(t, at.Control)
	for way := range ways {
		t.Run(way, func(t *testing.T) {
			begun := time.Now()
			transfer(t, way, transferred)
			after := ask(t, at.Control)
			fmt.Printf("%s of %d MB: %.0f MB/s, at most %.1f MB resident (%.1f MB before)\n", way, transferred>>20,
				transferred/1e6/time.Since(begun).Seconds(), float64(after.Peak)/(1<<20), float64(before.Peak)/(1<<20))
			if after.Peak > before.Peak+growth {
				t.Errorf("the peak of resident memory grew by %d MB", (after.Peak-before.Peak)>>20)
			}
		})
	}
}
