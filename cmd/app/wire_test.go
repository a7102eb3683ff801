package app_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/cognitotest"
	"cognito-token-handler/test/testkit"
)

// wireAPI is an upstream that reads requests strictly, one after another from
// each connection, and notes them.
type wireAPI struct {
	url string

	mu   sync.Mutex
	seen []string
}

func newWireAPI(t *testing.T) *wireAPI {
	t.Helper()
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	a := &wireAPI{url: "http://" + listener.Addr().String()}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go a.serve(conn)
		}
	}()
	return a
}

func (a *wireAPI) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	requests := bufio.NewReader(conn)
	for {
		if _, err := requests.Peek(1); err != nil {
			return
		}
		r, err := http.ReadRequest(requests)
		if err != nil {
			a.note("unreadable: " + err.Error())
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // half a request is none
		}
		a.note(strings.TrimSpace(r.Method + " " + r.RequestURI + " " + string(body)))
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, " "), "evil") {
				a.note(fmt.Sprintf("%s: %q", name, values))
			}
		}
		if len(r.Trailer) > 0 {
			a.note(fmt.Sprintf("trailers %v", r.Trailer))
		}
		if "http://"+r.Host != a.url {
			a.note("host " + r.Host)
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
	}
}

func (a *wireAPI) note(what string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen = append(a.seen, what)
}

// take returns what was noted since the last call.
func (a *wireAPI) take() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	seen := strings.Join(a.seen, ", ")
	a.seen = nil
	return seen
}

// startWire runs the service with a route /raw/ to an upstream of that kind,
// which is open to everybody, and the app.
func startWire(t *testing.T, more ...string) (*service, *wireAPI) {
	t.Helper()
	up := newWireAPI(t)
	route := fmt.Sprintf("    - {path: /raw/, upstream: %q, anonymous: true}\nspa: {dir: %q}", up.url, newSPA(t))
	return start(t, cognitotest.Options{}, append([]string{route}, more...)...), up
}

// last is answered with 404, if the connection goes on after what came before.
const last = "GET /auth/last HTTP/1.1\r\nHost: localhost:8080\r\nConnection: close\r\n\r\n"

// wire sends text and then last over a connection of its own. It returns the
// answers until the service closes it, as [status] has them.
func (s *service) wire(text string) string {
	s.tb.Helper()
	conn, err := net.Dial("tcp", s.at.Public)
	if err != nil {
		s.tb.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(testkit.Deadline))
	go func() { _, _ = io.WriteString(conn, text+last) }() // it may not be read to the end
	var answers []string
	reader := bufio.NewReader(conn)
	for {
		answer, err := http.ReadResponse(reader, nil)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				s.tb.Error("the connection stays open")
			}
			return strings.Join(answers, ", ")
		}
		answers = append(answers, status(answer))
		_ = answer.Body.Close()
	}
}

// status is an answer's, with its code if it is a problem.
func status(answer *http.Response) string {
	var p testkit.Problem
	text, _ := io.ReadAll(answer.Body)
	if answer.Header.Get("Content-Type") != "application/problem+json" || json.Unmarshal(text, &p) != nil {
		return strconv.Itoa(answer.StatusCode)
	}
	return strconv.Itoa(answer.StatusCode) + " " + p.Code
}

type wireTest struct{ name, text, answers, seen string }

func (s *service) runWire(t *testing.T, up *wireAPI, tests []wireTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.wire(tt.text); got != tt.answers {
				t.Errorf("%.200q: answered %s, want %s", tt.text, got, tt.answers)
			}
			if seen := up.take(); seen != tt.seen {
				t.Errorf("%.200q: the API saw %q, want %q", tt.text, seen, tt.seen)
			}
		})
	}
}
