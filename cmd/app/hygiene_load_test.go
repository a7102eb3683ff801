package app_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
)

// requestsPerSession is the default of api.requests_per_session.
const requestsPerSession = 256

// TestRapidReset: streams that a client opens and resets at once reach an API at a bounded
// rate only (CVE-2023-44487), and the service goes on serving others.
func TestRapidReset(t *testing.T) {
	var arrived atomic.Int32
	up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/raw/last" {
			return
		}
		arrived.Add(1)
		<-r.Context().Done()
	}))
	t.Cleanup(up.Close)
	s := start(t, cognitotest.Options{}, fmt.Sprintf("    - {path: /raw/, upstream: %q, anonymous: true}", up.URL), "h2c: true")
	begun := time.Now()
	const batches, streams = 12, 200
	attacker := newResetter(t, s.dial2(t, nil))
	for batch := range batches {
		attacker.open(streams)
		testkit.Eventually(t, "each stream is forwarded or refused", func() bool {
			return arrived.Load()+attacker.answered.Load() >= int32((batch+1)*streams)
		})
		attacker.reset()
	}
	if got := wire2(t, s.dial2(t, nil), ask2("GET", "/raw/last")); got != "200" {
		t.Errorf("another client was answered %s", got)
	}
	if n, seconds := int(arrived.Load()), int(time.Since(begun).Seconds()); n > requestsPerSession*(seconds+2) || n < requestsPerSession {
		t.Errorf("%d requests arrived in %d seconds", n, seconds)
	}
}

// resetter is an HTTP/2 client that opens streams and resets them.
type resetter struct {
	out      *bufio.Writer
	frames   *http2.Framer
	fields   bytes.Buffer
	encoder  *hpack.Encoder
	next     uint32   // id of a stream
	streams  []uint32 // the ids of those that are open
	answered atomic.Int32
}

func newResetter(t *testing.T, conn net.Conn) *resetter {
	t.Helper()
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(testkit.Deadline))
	r := &resetter{out: bufio.NewWriter(conn), next: 1}
	r.frames, r.encoder = http2.NewFramer(r.out, conn), hpack.NewEncoder(&r.fields)
	_, _ = io.WriteString(r.out, http2.ClientPreface)
	_ = r.frames.WriteSettings()
	go func() {
		for {
			frame, err := r.frames.ReadFrame()
			if err != nil {
				return
			}
			if _, isHead := frame.(*http2.HeadersFrame); isHead {
				r.answered.Add(1)
			}
		}
	}()
	return r
}

func (r *resetter) open(streams int) {
	for range streams {
		r.fields.Reset()
		for _, f := range ask2("GET", "/raw/x").header {
			_ = r.encoder.WriteField(hpack.HeaderField{Name: f.name, Value: f.value})
		}
		_ = r.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: r.next, BlockFragment: r.fields.Bytes(), EndStream: true, EndHeaders: true})
		r.streams = append(r.streams, r.next)
		r.next += 2
	}
	_ = r.out.Flush()
}

func (r *resetter) reset() {
	for _, id := range r.streams {
		_ = r.frames.WriteRSTStream(id, http2.ErrCodeCancel)
	}
	r.streams = nil
	_ = r.out.Flush()
}

// TestBrokenAnswers: a response that breaks off behind its head does not look complete, and
// its head arrives: without one byte of a response, browsers would send a POST again.
func TestBrokenAnswers(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nSet-Cookie: evil=1\r\n"
	for name, text := range map[string]string{
		"length": head + "Content-Length: 500\r\n\r\n", "chunked": head + "Transfer-Encoding: chunked\r\n\r\n",
		"part": head + "Content-Length: 500\r\n\r\npart", "bad chunk": head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			up := dyingAPI(t, text, &requests)
			s := start(t, cognitotest.Options{}, fmt.Sprintf("    - {path: /raw/, upstream: %q, anonymous: true}", up))
			conn := s.dial2(t, nil)
			defer func() { _ = conn.Close() }()
			_ = conn.SetDeadline(time.Now().Add(testkit.Deadline))
			_, _ = io.WriteString(conn, post+"Content-Length: 2\r\n\r\nab")
			answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answer.Body.Close() }()
			if body, err := io.ReadAll(answer.Body); err == nil || answer.StatusCode != http.StatusOK || answer.Header["Set-Cookie"] != nil || !strings.HasPrefix("part", string(body)) {
				t.Errorf("answered %d %v, %q to the end %v", answer.StatusCode, answer.Header, body, err)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("the API saw %d requests", n)
			}
		})
	}
}

// dyingAPI answers each request with text and closes the connection.
func dyingAPI(t *testing.T, text string, requests *atomic.Int32) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				requests.Add(1)
				_, _ = io.WriteString(conn, text)
			}
			_ = conn.Close()
		}
	}()
	return "http://" + listener.Addr().String()
}
