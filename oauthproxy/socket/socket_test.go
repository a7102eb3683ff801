package socket_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"cognito-token-handler/oauthproxy/socket"
	"cognito-token-handler/test/testkit"
)

// sessionEnded is the close frame for StatusSessionEnded.
const sessionEnded = "\x88\x0f\x11\x31session ended"

// exchange sends a message and expects it back.
func exchange(t *testing.T, conn *websocket.Conn, kind websocket.MessageType, message []byte) {
	t.Helper()
	sent := make(chan error, 1)
	go func() { sent <- conn.Write(t.Context(), kind, message) }()
	got, back, err := conn.Read(t.Context())
	if err == nil {
		err = <-sent
	}
	if err != nil || got != kind || !bytes.Equal(back, message) {
		t.Errorf("a message of %d bytes came back as %d bytes of kind %v, %v", len(message), len(back), got, err)
	}
}

func TestMessagesPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t, echo(nil))
		conn := p.dial(t)
		for _, size := range []int{0, 1, 125, 126, 1<<16 - 1, 1 << 16, 1 << 20} {
			message := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
			exchange(t, conn, websocket.MessageText, message)
			exchange(t, conn, websocket.MessageBinary, message)
		}
		synctest.Wait()
		if p.open() != 1 || p.bytes("to_client") == 0 || p.bytes("to_upstream") == 0 {
			t.Errorf("%v open, %v bytes to the client, %v to the upstream", p.open(), p.bytes("to_client"), p.bytes("to_upstream"))
		}
	})
}

func TestUpstreamGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t, handler(func(w http.ResponseWriter, r *http.Request) {
			conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
			if err == nil {
				_ = conn.Write(r.Context(), websocket.MessageText, []byte("hello"))
				_ = conn.CloseNow()
			}
		}))
		conn := p.dial(t)
		if _, message, err := conn.Read(t.Context()); string(message) != "hello" || err != nil {
			t.Errorf("%q, %v", message, err)
		}
		if _, _, err := conn.Read(t.Context()); !errors.Is(err, io.EOF) || websocket.CloseStatus(err) != -1 {
			t.Errorf("%v, want an end without a close frame", err)
		}
	})
}

func TestClientGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan error, 1)
		p := newProxy(t, echo(closed))
		conn := p.dial(t)
		exchange(t, conn, websocket.MessageText, []byte("hello"))
		_ = conn.CloseNow()
		if err := testkit.Receive(t, closed, "the end at the upstream"); websocket.CloseStatus(err) != -1 {
			t.Errorf("%v, want an end without a close frame", err)
		}
		synctest.Wait()
		if p.open() != 0 {
			t.Errorf("%v WebSockets are open", p.open())
		}
	})
}

// A client may send its first frame together with the handshake.
func TestFrameWithTheHandshake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := newProxy(t, echo(nil)).handshake(t, frame(0x81, 5, true)...)
		back := make([]byte, 7)
		if _, err := io.ReadFull(client.r, back); err != nil || back[1] != 5 {
			t.Errorf("read %x, %v", back, err)
		}
	})
}

// What one side does not read is not read from the other side either.
func TestBackPressure(t *testing.T) {
	const most = 100 << 10 // the buffers of the proxy, net/http and the test's client
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		p := newProxy(t, raw(accepted, func(conn net.Conn) {
			for message := make([]byte, 1<<10); ; sent += len(message) {
				if _, err := conn.Write(message); err != nil {
					return
				}
			}
		}))
		p.handshake(t)
		synctest.Wait()
		if sent == 0 || sent > most {
			t.Errorf("%d bytes were taken for a client that reads nothing", sent)
		}
	})
}

func TestManyWebSockets(t *testing.T) {
	const many = 100
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t, echo(nil))
		conns := make([]*websocket.Conn, many)
		for i := range conns {
			conns[i] = p.dial(t)
		}
		synctest.Wait()
		if p.open() != many {
			t.Errorf("%v are open", p.open())
		}
		var all sync.WaitGroup
		for i, conn := range conns {
			all.Go(func() {
				for n := range 10 {
					exchange(t, conn, websocket.MessageText, fmt.Appendf(nil, "WebSocket %d message %d", i, n))
				}
				if i%2 == 0 {
					_ = conn.Close(websocket.StatusNormalClosure, "")
				}
				_ = conn.CloseNow()
			})
		}
		all.Wait()
		synctest.Wait()
		if p.open() != 0 {
			t.Errorf("%v are still open", p.open())
		}
	})
}

// A WebSocket may be silent for as long as it likes.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := newProxy(t, echo(nil)).dial(t)
		exchange(t, conn, websocket.MessageText, []byte("good night"))
		time.Sleep(24 * time.Hour)
		exchange(t, conn, websocket.MessageText, []byte("good morning"))
	})
}

// A side that does not read what there is for it is cut off, and with it the other.
func TestStall(t *testing.T) {
	for name, c := range map[string]struct {
		upstream func(net.Conn)
		client   func(net.Conn)
	}{
		"client":   {upstream: writeAlways, client: func(net.Conn) {}},
		"upstream": {upstream: func(net.Conn) { time.Sleep(time.Hour) }, client: writeAlways},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProxy(t, raw(accepted, c.upstream))
				begun := time.Now()
				client := p.handshake(t)
				go c.client(client)
				time.Sleep(socket.StallTimeout - time.Second)
				synctest.Wait()
				if p.open() != 1 {
					t.Errorf("it was closed before %s", time.Since(begun))
				}
				time.Sleep(2*time.Second + socket.CloseTimeout)
				synctest.Wait()
				if p.open() != 0 {
					t.Errorf("it is open after %s", time.Since(begun))
				}
				time.Sleep(time.Hour) // for the upstream to end
			})
		})
	}
}

// writeAlways writes frames until the connection is closed.
func writeAlways(conn net.Conn) {
	for message := frame(0x82, 1000, false); ; {
		if _, err := conn.Write(message); err != nil {
			return
		}
	}
}

func TestClose(t *testing.T) {
	for want, code := range map[string]uint16{"4401 session ended": socket.StatusSessionEnded, "1001 going away": socket.StatusGoingAway} {
		synctest.Test(t, func(t *testing.T) {
			closed := make(chan error, 1)
			p := newProxy(t, echo(closed))
			conn := p.dial(t)
			exchange(t, conn, websocket.MessageText, []byte("hello"))
			begun, opened := time.Now(), <-p.opened
			go func() {
				opened.Close(code, want[5:])
				opened.Close(4000, "a second close has no effect")
			}()
			_, _, err := conn.Read(t.Context())
			if got := closeReason(err); got != want {
				t.Errorf("closed with %q, want %q", got, want)
			}
			<-closed //nolint:errcheck // the upstream has ended, with any error
			if took := time.Since(begun); took != 0 {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// After Close nothing that the client sends reaches the upstream, and a client that
// does not answer the close frame is cut off.
func TestCloseDiscardsTheClientsFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		received := make(chan []byte, 1)
		p := newProxy(t, raw(accepted, func(conn net.Conn) {
			all, _ := io.ReadAll(conn)
			received <- all
		}))
		client := p.handshake(t)
		go (<-p.opened).Close(socket.StatusSessionEnded, "session ended")
		bye := make([]byte, len(sessionEnded))
		if _, err := io.ReadFull(client.r, bye); err != nil || string(bye) != sessionEnded {
			t.Fatalf("read %q, %v", bye, err)
		}
		begun := time.Now()
		_, _ = client.Write(frame(0x81, 100, true))
		if rest, _ := io.ReadAll(client.r); len(rest) != 0 {
			t.Errorf("read %q after the close frame", rest)
		}
		if got := <-received; len(got) != 0 {
			t.Errorf("the upstream got %q", got)
		}
		if took := time.Since(begun); took != socket.CloseTimeout {
			t.Errorf("it was cut off after %s", took)
		}
	})
}

// What the upstream sends after its own close frame does not reach the client.
func TestNothingFollowsTheUpstreamsCloseFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bye := frame(0x88, 0, false)
		p := newProxy(t, raw(accepted, func(conn net.Conn) {
			_, _ = conn.Write(bye)
			time.Sleep(time.Second) // else both would be read, and forwarded, at once
			_, _ = conn.Write(frame(0x81, 3, false))
			_, _ = io.ReadAll(conn)
		}))
		if got, _ := io.ReadAll(p.handshake(t).r); !bytes.Equal(got, bye) {
			t.Errorf("the client got %q, want only %q", got, bye)
		}
	})
}

// What the upstream sends after Close is discarded, and causes no second close frame.
func TestCloseDiscardsTheUpstreamsFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		resume := make(chan struct{})
		p := newProxy(t, raw(accepted, func(conn net.Conn) {
			<-resume
			_, _ = conn.Write(frame(0x81, 100, false))
			_, _ = io.Copy(io.Discard, conn)
		}))
		client := p.handshake(t)
		go (<-p.opened).Close(socket.StatusSessionEnded, "session ended")
		synctest.Wait()
		go func() {
			synctest.Wait()
			close(resume)
		}()
		if all, _ := io.ReadAll(client.r); string(all) != sessionEnded {
			t.Errorf("read %q", all)
		}
	})
}

// A close frame in the middle of another frame would be read as its payload. It is
// sent after that frame, and the upstream has CloseTimeout to complete it.
func TestCloseBetweenFrames(t *testing.T) {
	for name, completed := range map[string]bool{"completed": true, "never completed": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				resume := make(chan struct{})
				whole := frame(0x82, 1000, false)
				p := newProxy(t, raw(accepted, func(conn net.Conn) {
					_, _ = conn.Write(whole[:500])
					<-resume
					if completed {
						_, _ = conn.Write(whole[500:700])
						synctest.Wait()
						_, _ = conn.Write(append(whole[700:], frame(0x81, 100, false)...)) // and a frame too late
					}
					_, _ = io.Copy(io.Discard, conn)
				}))
				client := p.handshake(t)
				if _, err := io.ReadFull(client.r, make([]byte, 500)); err != nil {
					t.Fatal(err)
				}
				begun := time.Now()
				(<-p.opened).Close(socket.StatusSessionEnded, "session ended")
				close(resume)
				rest, _ := io.ReadAll(client.r)
				want := ""
				if completed {
					want = string(whole[500:]) + sessionEnded
				}
				if string(rest) != want {
					t.Errorf("read %q", rest)
				}
				if took := time.Since(begun); took != socket.CloseTimeout {
					t.Errorf("it was cut off after %s", took)
				}
			})
		})
	}
}

// A client that reads nothing cannot keep its WebSocket open.
func TestCloseOfAStalledClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone := make(chan struct{})
		p := newProxy(t, raw(accepted, func(conn net.Conn) {
			writeAlways(conn)
			close(gone)
		}))
		p.handshake(t)
		opened := <-p.opened
		synctest.Wait() // until nothing moves
		begun := time.Now()
		opened.Close(socket.StatusSessionEnded, "session ended")
		<-gone
		synctest.Wait()
		if took := time.Since(begun); took > 2*socket.CloseTimeout || p.open() != 0 {
			t.Errorf("after %s %v are open", took, p.open())
		}
	})
}

func TestAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProxy(t, echo(nil))
		client := p.handshake(t)
		(<-p.opened).Abort()
		if rest, _ := io.ReadAll(client.r); len(rest) != 0 {
			t.Errorf("read %q", rest)
		}
		synctest.Wait()
		if p.open() != 0 {
			t.Errorf("%v are open", p.open())
		}
	})
}
