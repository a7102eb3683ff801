//go:build e2e

package bench_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	idleConnections = 10_000
	eventStreams    = 1_000
	// most is the resident memory that the process may use with all connections open.
	most = 400 << 20
	// files is how many files each process may need open: two for each stream, one for
	// each connection, and some more.
	files = idleConnections + 2*eventStreams + 1_000
)

// TestMemoryOfOpenConnections opens many keep-alive connections, each of which makes a
// request, and many event streams, and prints how much memory the process uses.
func TestMemoryOfOpenConnections(t *testing.T) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < files {
		t.Fatalf("at most %d files may be open; raise it with ulimit -n %d", limit.Cur, files)
	}
	streaming := make(chan struct{}, eventStreams)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = fmt.Fprint(w, "data: first\n\n")
			_ = http.NewResponseController(w).Flush()
			streaming <- struct{}{}
			<-r.Context().Done()
			return
		}
		_, _ = w.Write([]byte(strings.Repeat("x", bodySize)))
	}))
	t.Cleanup(upstream.Close)
	at, cookies := startService(t, upstream.URL, "")
	request := func(path string) string {
		return "GET " + path + " HTTP/1.1\r\nHost: localhost:8080\r\nSec-Fetch-Site: same-origin\r\nCookie: " + cookies + "\r\n\r\n"
	}
	before := ask(t, at.Control)
	var mu sync.Mutex
	var open []net.Conn
	t.Cleanup(func() {
		for _, conn := range open {
			_ = conn.Close()
		}
	})
	connect := func(path string) error {
		conn, err := net.Dial("tcp", at.Ours)
		if err != nil {
			return err
		}
		mu.Lock()
		open = append(open, conn)
		mu.Unlock()
		if _, err := conn.Write([]byte(request(path))); err != nil {
			return err
		}
		answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 512), nil) //nolint:bodyclose // the connection stays open
		if err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answered %d", path, answer.StatusCode)
		}
		return nil
	}
	var all errgroup.Group
	all.SetLimit(32)
	for i := range idleConnections + eventStreams {
		path := "/api/data"
		if i%(idleConnections/eventStreams+1) == 0 {
			path = "/api/events"
		}
		all.Go(func() error { return connect(path) })
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	for range eventStreams {
		<-streaming
	}
	time.Sleep(100 * time.Millisecond)
	after := ask(t, at.Control)
	fmt.Printf("%d idle connections and %d event streams: %d MB resident (%d MB before)\n", idleConnections, eventStreams, after.RSS>>20, before.RSS>>20)
	if after.RSS > most {
		t.Errorf("%d MB are resident", after.RSS>>20)
	}
}
