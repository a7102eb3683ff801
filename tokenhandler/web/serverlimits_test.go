package web_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestServerLimits(t *testing.T) {
	unreached := func(http.ResponseWriter, *http.Request) { t.Error("the handler was reached") }
	t.Run("a head that never ends", func(t *testing.T) {
		served(t, unreached, func(t *testing.T, client net.Conn) {
			start := time.Now()
			send(t, client, "GET / HTTP/1.1\r\nHost: x\r\n")
			_, _ = io.ReadAll(client)
			if took := time.Since(start); took != 10*time.Second {
				t.Errorf("closed after %s", took)
			}
		})
	})
	t.Run("a connection that is idle", func(t *testing.T) {
		served(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, func(t *testing.T, client net.Conn) {
			send(t, client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			start := time.Now()
			_, _ = io.ReadAll(client)
			if took := time.Since(start); took != 2*time.Minute {
				t.Errorf("closed after %s", took)
			}
		})
	})
	t.Run("a head that is too large", func(t *testing.T) {
		served(t, unreached, func(t *testing.T, client net.Conn) {
			go func() { // the server stops reading before the end
				_, _ = io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 100<<10)+"\r\n\r\n")
			}()
			wantStatus(t, bufio.NewReader(client), "HTTP/1.1 431 Request Header Fields Too Large")
		})
	})
}

// A client that announces a body and sends none must not keep the connection open, even if
// the handler does not read the body.
func TestDeadlinesEndAnUnreadBody(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"short answer":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) },
		"long answer":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 8<<10)) },
		"flushed answer": func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() },
		"closed":         func(_ http.ResponseWriter, r *http.Request) { _ = r.Body.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			served(t, h, func(t *testing.T, client net.Conn) {
				start := time.Now()
				send(t, client, upload)
				_, _ = io.ReadAll(client)
				if took := time.Since(start); took > 11*time.Second {
					t.Errorf("closed after %s", took)
				}
			})
		})
	}
}

// What the handler has written is sent, even if it is flushed long after it was written.
func TestDeadlinesAreRenewedForWhatIsFlushedLate(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"at the end": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "late")
			time.Sleep(5 * time.Minute)
		},
		"by the handler": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "late")
			time.Sleep(5 * time.Minute)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			served(t, h, func(t *testing.T, client net.Conn) {
				send(t, client, "GET / HTTP/1.0\r\n\r\n")
				if text, err := io.ReadAll(client); err != nil || !strings.HasSuffix(string(text), "late") {
					t.Errorf("received %q, %v", text, err)
				}
			})
		})
	}
}

// After the end of a body net/http watches whether the client closes the connection. The
// deadline of the body must not look like that.
func TestDeadlinesEndWithTheBody(t *testing.T) {
	for name, finish := range map[string]http.HandlerFunc{
		"read":    func(_ http.ResponseWriter, r *http.Request) { _, _ = io.ReadAll(r.Body) },
		"closed":  func(_ http.ResponseWriter, r *http.Request) { _ = r.Body.Close() },
		"unread":  func(http.ResponseWriter, *http.Request) {},
		"flushed": func(w http.ResponseWriter, _ *http.Request) { _ = http.NewResponseController(w).Flush() },
		"closed late": func(_ http.ResponseWriter, r *http.Request) {
			time.Sleep(5 * time.Minute)
			_ = r.Body.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			served(t, func(w http.ResponseWriter, r *http.Request) {
				finish(w, r)
				time.Sleep(5 * time.Minute)
				if err := r.Context().Err(); err != nil {
					t.Errorf("the request's context was canceled: %v", err)
				}
				_, _ = io.WriteString(w, "late")
			}, func(t *testing.T, client net.Conn) {
				go send(t, client, upload+"0123456789")
				answers := bufio.NewReader(client)
				wantStatus(t, answers, "HTTP/1.1 200 OK")
				_, _ = answers.ReadString('\n')
			})
		})
	}
}

// After a time-out the rest of the body must not be read as the next request.
func TestRestOfABodyIsNotARequest(t *testing.T) {
	const smuggled = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
	served(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/smuggled" {
			t.Error("the rest of a body became a request")
		}
		_ = r.Body.Close()
	}, func(t *testing.T, client net.Conn) {
		send(t, client, fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(smuggled)))
		wantStatus(t, bufio.NewReader(client), "HTTP/1.1 200 OK")
		_, _ = io.WriteString(client, smuggled) // the server may have closed the connection
		_, _ = io.ReadAll(client)
	})
}

// If a proxy in front may disagree about where a request ends, the connection must be
// closed after it, so that what follows is not read as a request.
func TestAmbiguousRequestsEndTheConnection(t *testing.T) {
	const second = "GET /second HTTP/1.1\r\nHost: x\r\n\r\n"
	for name, c := range map[string]struct {
		first string
		ends  bool
	}{
		"chunked":                         {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", true},
		"chunked, with a length":          {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
		"HTTP/1.0":                        {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true},
		"HTTP/1.0, chunked":               {"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n", true},
		"HTTP/1.0, chunked with a length": {"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true},
		"no body":                         {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", false},
		"a length":                        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab", false},
	} {
		t.Run(name, func(t *testing.T) {
			var reached []string
			served(t, func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.ReadAll(r.Body)
				reached = append(reached, r.URL.Path)
			}, func(_ *testing.T, client net.Conn) {
				go func() { _, _ = io.WriteString(client, c.first+second) }()
				_, _ = io.ReadAll(client)
			})
			if want := map[bool]string{true: "/", false: "/ /second"}[c.ends]; strings.Join(reached, " ") != want {
				t.Errorf("served %q, want %s", reached, want)
			}
		})
	}
}

// OPTIONS * is answered by the handler, so that it is in the request log and has our
// headers. By default net/http would answer it with 200.
func TestOptionsOfTheServerReachTheHandler(t *testing.T) {
	served(t, func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI == "*" {
			w.WriteHeader(http.StatusTeapot)
		}
	}, func(t *testing.T, client net.Conn) {
		send(t, client, "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n")
		wantStatus(t, bufio.NewReader(client), "HTTP/1.1 418 I'm a teapot")
	})
}

// TestHeadsOverTheLimit: net/http answers before any handler is called, so that the
// response is not problem+json.
func TestHeadsOverTheLimit(t *testing.T) {
	for size, want := range map[int]string{
		60 << 10: "HTTP/1.1 200 OK",
		80 << 10: "HTTP/1.1 431 Request Header Fields Too Large",
	} {
		served(t, func(http.ResponseWriter, *http.Request) {}, func(t *testing.T, client net.Conn) {
			go func() {
				_, _ = io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\nCookie: "+strings.Repeat("x", size)+"\r\n\r\n")
			}()
			wantStatus(t, bufio.NewReader(client), want)
		})
	}
}
