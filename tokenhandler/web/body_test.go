package web_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/tokenhandler/web"
)

func TestDeadlinesEndAStalledBody(t *testing.T) {
	var failed error
	var after time.Duration
	begun := time.Now
	served(t, func(_ http.ResponseWriter, r *http.Request) {
		web.SetBodyPace(r, web.SlowBody)
		start := begun()
		_, failed = io.ReadAll(r.Body)
		after = begun().Sub(start)
	}, func(t *testing.T, client net.Conn) {
		send(t, client, upload+"abc")
		_, _ = io.ReadAll(client)
	})
	if !errors.Is(failed, os.ErrDeadlineExceeded) || after != time.Minute {
		t.Errorf("reading ended with %v after %s", failed, after)
	}
}

func TestDeadlinesLetASlowBodyThrough(t *testing.T) {
	var got []byte
	var failed error
	served(t, func(w http.ResponseWriter, r *http.Request) {
		web.SetBodyPace(r, web.SlowBody)
		got, failed = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusNoContent)
	}, func(t *testing.T, client net.Conn) {
		send(t, client, upload)
		for i := range 10 { // eight minutes in all
			time.Sleep(50 * time.Second)
			send(t, client, fmt.Sprint(i))
		}
		wantStatus(t, bufio.NewReader(client), "HTTP/1.1 204 No Content")
	})
	if string(got) != "0123456789" || failed != nil {
		t.Errorf("read %q, %v", got, failed)
	}
}

// Each case sends the parts of a body, with a pause before each. Without a session, a body must
// not take hours although something arrives every few seconds.
func TestBodyPace(t *testing.T) {
	const kib = 1 << 10
	for name, c := range map[string]struct {
		pace  web.BodyPace
		pause time.Duration
		part  int           // bytes
		ends  time.Duration // 0: never, 100 parts are sent
	}{
		"short, in time":           {web.ShortBody, 90 * time.Millisecond, 1, 0},
		"short, one byte now":      {web.ShortBody, 9 * time.Second, 1, 10 * time.Second},
		"short, much":              {web.ShortBody, time.Second, 100 * kib, 10 * time.Second},
		"steady":                   {web.SteadyBody, time.Second, kib, 0},
		"steady, in large parts":   {web.SteadyBody, 50 * time.Second, 50 * kib, 10 * time.Second}, // the first one is late
		"steady, one byte now":     {web.SteadyBody, 9 * time.Second, 1, 10*time.Second + time.Second/1024},
		"steady, half of the rate": {web.SteadyBody, time.Second, kib / 2, 18 * time.Second},
		"slow, one byte now":       {web.SlowBody, 59 * time.Second, 1, 0},
		"slow, stalled":            {web.SlowBody, 61 * time.Second, kib, time.Minute},
	} {
		for _, protocol := range []string{"HTTP/1", "HTTP/2"} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				const parts = 100
				var failed error
				var after time.Duration
				send := func(body io.Writer) {
					for range parts {
						time.Sleep(c.pause)
						if _, err := body.Write(make([]byte, c.part)); err != nil {
							return
						}
					}
				}
				served(t, func(w http.ResponseWriter, r *http.Request) {
					web.SetBodyPace(r, c.pace)
					if protocol == "HTTP/2" {
						_ = http.NewResponseController(w).Flush()
					}
					start := time.Now()
					_, failed = io.Copy(io.Discard, r.Body)
					after = time.Since(start)
				}, func(t *testing.T, client net.Conn) {
					if protocol == "HTTP/2" {
						answer, body := overHTTP2(t, client)
						send(body)
						_ = body.Close()
						_, _ = io.ReadAll(answer.Body)
						_ = answer.Body.Close()
						return
					}
					sent := make(chan struct{})
					go func() {
						defer close(sent)
						_, _ = fmt.Fprintf(client, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", parts*c.part)
						send(client)
					}()
					_, _ = http.ReadResponse(bufio.NewReader(client), nil) //nolint:bodyclose // the connection is closed
					_ = client.Close()
					<-sent
				})
				if c.ends == 0 {
					if failed != nil {
						t.Errorf("it ended after %s with %v", after, failed)
					}
					return
				}
				if !errors.Is(failed, os.ErrDeadlineExceeded) || after < c.ends || after > c.ends+2*time.Second {
					t.Errorf("it ended after %s with %v, want %s", after, failed, c.ends)
				}
			})
		}
	}
}

// The time that the handler takes between two reads is not the client's.
func TestBodyPaceDoesNotCountTheHandlersTime(t *testing.T) {
	const size = 30
	var failed error
	served(t, func(_ http.ResponseWriter, r *http.Request) {
		for range size {
			if _, failed = r.Body.Read(make([]byte, 1)); failed != nil {
				return
			}
			time.Sleep(5 * time.Second)
		}
	}, func(t *testing.T, client net.Conn) {
		send(t, client, fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size)+strings.Repeat("x", size))
		wantStatus(t, bufio.NewReader(client), "HTTP/1.1 200 OK")
	})
	if failed != nil && !errors.Is(failed, io.EOF) {
		t.Errorf("reading ended with %v", failed)
	}
}
