package web_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"cognito-token-handler/tokenhandler/web"
)

// pipes is a listener for connections in memory, so that time-outs use the clock of the
// synctest bubble.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	conn, open := <-p
	if !open {
		return nil, net.ErrClosed
	}
	return conn, nil
}
func (pipes) Close() error   { return nil }
func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

// served runs test in a synctest bubble, with a server of NewServer whose handler is h
// with Deadlines.
func served(t *testing.T, h http.HandlerFunc, test func(t *testing.T, client net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg := siteConfig(t, t.Output())
		cfg.Now = time.Now
		server := web.NewServer(web.NewSite(cfg).Deadlines(h), slog.New(slog.DiscardHandler))
		server.Protocols = new(http.Protocols)
		server.Protocols.SetHTTP1(true)
		server.Protocols.SetUnencryptedHTTP2(true)
		listener := make(pipes)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = server.Serve(listener)
		}()
		client, remote := net.Pipe()
		listener <- remote
		test(t, client)
		_ = client.Close()
		close(listener)
		_ = server.Close()
		<-done
		time.Sleep(time.Second) // time of the bubble: net/http waits before it closes after some errors
	})
}

func send(t *testing.T, client net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(client, text); err != nil {
		t.Error(err)
	}
}

const upload = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"

func TestDeadlinesDoNotCountTheHandlersTime(t *testing.T) {
	served(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		time.Sleep(10 * time.Minute) // a slow upstream
		if err := r.Context().Err(); err != nil {
			t.Errorf("the request's context was canceled: %v", err)
		}
		w.WriteHeader(http.StatusNoContent)
	}, func(t *testing.T, client net.Conn) {
		send(t, client, upload+"0123456789")
		wantStatus(t, bufio.NewReader(client), "HTTP/1.1 204 No Content")
	})
}

func TestDeadlinesEndAResponseThatIsNotRead(t *testing.T) {
	var failed error
	var after time.Duration
	served(t, func(w http.ResponseWriter, _ *http.Request) {
		start := time.Now()
		for failed == nil {
			_, failed = w.Write(make([]byte, 64<<10))
		}
		after = time.Since(start)
	}, func(t *testing.T, client net.Conn) {
		send(t, client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		time.Sleep(2 * time.Minute)
	})
	if failed == nil || after != time.Minute {
		t.Errorf("writing ended with %v after %s", failed, after)
	}
}

// An HTTP/2 client may give a stream an unlimited window and read nothing from the
// connection. Then the server cannot even send the end of the stream.
func TestDeadlinesEndAConnectionThatIsNotRead(t *testing.T) {
	var failed error
	var after time.Duration
	served(t, func(w http.ResponseWriter, _ *http.Request) {
		start := time.Now()
		for failed == nil {
			_, failed = w.Write(make([]byte, 64<<10))
		}
		after = time.Since(start)
	}, func(t *testing.T, client net.Conn) {
		// If nobody read what the server sends first, it would not read the request.
		go func() { _, _ = io.CopyN(io.Discard, client, 1000) }()
		send(t, client, http2.ClientPreface)
		frames := http2.NewFramer(client, nil)
		const window = 1<<31 - 1
		for _, err := range []error{
			frames.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window}),
			frames.WriteWindowUpdate(0, window-1<<16),
			frames.WriteHeaders(http2.HeadersFrameParam{
				StreamID: 1, EndHeaders: true, EndStream: true,
				BlockFragment: []byte("\x82\x86\x84\x41\x01x"), // GET, http, / and the authority x
			}),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Hour)
	})
	if failed == nil || after < time.Minute || after > 3*time.Minute {
		t.Errorf("writing ended with %v after %s", failed, after)
	}
}

func TestDeadlinesDoNotEndAnEventStream(t *testing.T) {
	served(t, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 5 {
			time.Sleep(10 * time.Minute)
			if _, err := fmt.Fprintf(w, "data: %d\n\n", i); err != nil {
				t.Error(err)
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		}
	}, func(t *testing.T, client net.Conn) {
		send(t, client, "GET / HTTP/1.0\r\n\r\n")
		text, err := io.ReadAll(client)
		if err != nil || strings.Count(string(text), "data: ") != 5 {
			t.Errorf("received %q, %v", text, err)
		}
	})
}

// overHTTP2 sends a request with an unfinished body over client, as a browser would.
func overHTTP2(t *testing.T, client net.Conn) (answer *http.Response, body *io.PipeWriter) {
	t.Helper()
	transport := &http.Transport{
		DialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil },
		Protocols:   new(http.Protocols),
	}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	read, body := io.Pipe()
	go func() { _, _ = io.WriteString(body, "begun") }()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://h/", read)
	if err != nil {
		t.Fatal(err)
	}
	if answer, err = transport.RoundTrip(r); err != nil {
		t.Fatal(err)
	}
	return answer, body
}

// Over HTTP/2 a deadline that passes ends the stream, even if nothing is being sent or
// read. Streams that are silent for a long time must not be ended.
func TestDeadlinesDoNotEndSilentStreamsOfHTTP2(t *testing.T) {
	served(t, func(w http.ResponseWriter, r *http.Request) {
		web.SetBodyPace(r, web.SlowBody)
		for i := range 3 {
			_, _ = fmt.Fprint(w, i)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(10 * time.Minute)
			if _, err := io.ReadFull(r.Body, make([]byte, 5)); err != nil {
				t.Errorf("read %v", err)
			}
		}
	}, func(t *testing.T, client net.Conn) {
		answer, body := overHTTP2(t, client)
		go func() { // sends each part while the handler sleeps
			time.Sleep(5 * time.Minute)
			for range 2 {
				time.Sleep(10 * time.Minute)
				_, _ = io.WriteString(body, "again")
			}
		}()
		if all, err := io.ReadAll(answer.Body); string(all) != "012" || err != nil {
			t.Errorf("received %q, %v", all, err)
		}
		_, _ = answer.Body.Close(), body.Close()
	})
}

// A Transport may still read the request's body after the handler has returned early. That
// must not crash the process.
func TestDeadlinesEndWithTheHandler(t *testing.T) {
	for when, wait := range map[string]time.Duration{"a read under way": 0, "a later read": time.Second} {
		t.Run(when, func(t *testing.T) {
			var failed error
			var readDone chan struct{}
			served(t, func(w http.ResponseWriter, r *http.Request) {
				go func() {
					defer close(readDone)
					time.Sleep(wait)
					_, failed = io.ReadAll(r.Body)
				}()
				time.Sleep(wait / 2)
				w.WriteHeader(http.StatusConflict)
			}, func(t *testing.T, client net.Conn) {
				readDone = make(chan struct{}) // made in the bubble
				answer, body := overHTTP2(t, client)
				if answer.StatusCode != http.StatusConflict {
					t.Error(answer.Status)
				}
				_, _ = answer.Body.Close(), body.Close()
				<-readDone
			})
			if failed == nil {
				t.Error("the body was read to its end")
			}
		})
	}
}

// An HTTP/2 client that stops sending or reading is given the same time as over HTTP/1.
func TestDeadlinesEndStalledStreamsOfHTTP2(t *testing.T) {
	took := map[string]time.Duration{}
	served(t, func(w http.ResponseWriter, r *http.Request) {
		web.SetBodyPace(r, web.SlowBody)
		_ = http.NewResponseController(w).Flush()
		start := time.Now()
		if _, err := io.ReadAll(r.Body); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read %v", err)
		}
		took["reading"] = time.Since(start)
		start = time.Now()
		for err := error(nil); err == nil; {
			_, err = w.Write(make([]byte, 1<<20))
		}
		took["writing"] = time.Since(start)
	}, func(t *testing.T, client net.Conn) {
		answer, body := overHTTP2(t, client)
		time.Sleep(time.Hour)
		_, _ = answer.Body.Close(), body.Close()
	})
	for what, after := range took {
		if after < time.Minute || after > 2*time.Minute {
			t.Errorf("%s ended after %s", what, after)
		}
	}
	if len(took) != 2 {
		t.Errorf("it ended early: %v", took)
	}
}

// The deadline of a response must not apply to the next response on the same connection,
// which is sent long after it.
func TestDeadlinesOfOneAnswerEndWithIt(t *testing.T) {
	served(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/first" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if got, err := io.ReadAll(r.Body); string(got) != "body" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
	}, func(t *testing.T, client net.Conn) {
		answers := bufio.NewReader(client)
		send(t, client, "GET /first HTTP/1.1\r\nHost: x\r\n\r\n")
		wantStatus(t, answers, "HTTP/1.1 204 No Content")
		time.Sleep(90 * time.Second)
		send(t, client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
		wantStatus(t, answers, "HTTP/1.1 100 Continue")
		send(t, client, "body")
		wantStatus(t, answers, "HTTP/1.1 200 OK")
	})
}

// wantStatus reads the head of a response.
func wantStatus(t *testing.T, answers *bufio.Reader, want string) {
	t.Helper()
	for line := ""; line != "\r\n"; {
		var err error
		if line, err = answers.ReadString('\n'); err != nil {
			t.Errorf("want %s: %v", want, err)
			return
		}
		if want != "" && strings.TrimSpace(line) != want {
			t.Errorf("answered %q, want %s", line, want)
		}
		want = ""
	}
}
