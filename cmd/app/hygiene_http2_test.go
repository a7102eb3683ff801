package app_test

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"cognito-token-handler/test/testkit"
)

// field is a header field, as it is sent.
type field struct{ name, value string }

// stream is one request over HTTP/2: its header, and a body or trailers if there
// are any.
type stream struct {
	header   []field
	body     string
	trailers []field
}

// send writes the stream's frames without checking whether they are allowed.
func (r stream) send(to *http2.Framer) error {
	last := r.body == "" && r.trailers == nil
	err := sendFields(to, r.header, last)
	if r.body != "" && err == nil {
		err = to.WriteData(1, r.trailers == nil, []byte(r.body))
	}
	if r.trailers != nil && err == nil {
		err = sendFields(to, r.trailers, true)
	}
	return err
}

func sendFields(to *http2.Framer, fields []field, last bool) error {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range fields {
		if err := encoder.WriteField(hpack.HeaderField{Name: f.name, Value: f.value}); err != nil {
			return err
		}
	}
	const most = 16 << 10 // bytes of a frame
	first := block.Next(most)
	err := to.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: first, EndStream: last, EndHeaders: block.Len() == 0})
	for block.Len() > 0 && err == nil {
		part := block.Next(most)
		err = to.WriteContinuation(1, block.Len() == 0, part)
	}
	return err
}

// wire2 sends one request over a connection of its own and returns the answer's
// status, with its code if it is a problem, or how the stream was broken off.
func wire2(t *testing.T, conn net.Conn, request stream) string {
	t.Helper()
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(testkit.Deadline))
	frames := http2.NewFramer(conn, conn)
	frames.AllowIllegalWrites = true
	frames.ReadMetaHeaders = hpack.NewDecoder(4<<10, nil)
	_, err := io.WriteString(conn, http2.ClientPreface)
	if err == nil {
		err = frames.WriteSettings()
	}
	if err == nil {
		err = request.send(frames)
	}
	if err != nil {
		t.Fatal(err)
	}
	answer, body := &http.Response{Header: http.Header{}}, ""
	for {
		frame, err := frames.ReadFrame()
		if err != nil {
			return err.Error()
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if allowed, there := f.Value(http2.SettingEnableConnectProtocol); there && allowed != 0 {
				t.Error("CONNECT is offered for other protocols")
			}
		case *http2.MetaHeadersFrame:
			_, _ = fmt.Sscan(f.PseudoValue("status"), &answer.StatusCode)
			for _, h := range f.RegularFields() {
				answer.Header.Add(h.Name, h.Value)
			}
		case *http2.DataFrame:
			body += string(f.Data())
		case *http2.RSTStreamFrame:
			return f.ErrCode.String()
		case *http2.GoAwayFrame:
			return f.ErrCode.String()
		}
		if frame.Header().StreamID == 1 && frame.Header().Flags.Has(http2.FlagDataEndStream) { // HEADERS has the same flag
			answer.Body = io.NopCloser(strings.NewReader(body))
			return status(answer)
		}
	}
}

// ask2 returns one of the app's own requests.
func ask2(method, path string, more ...field) stream {
	return stream{header: append([]field{
		{":method", method}, {":scheme", "http"}, {":authority", "localhost:8080"}, {":path", path}, {"sec-fetch-site", "same-origin"},
	}, more...)}
}

// with returns ask2's GET of /raw/x with one pseudo-header changed or left out.
func with(name, value string) stream {
	r := ask2("GET", "/raw/x")
	i := slices.IndexFunc(r.header, func(f field) bool { return f.name == name })
	r.header[i].value = value
	if value == "" {
		r.header = slices.Delete(r.header, i, i+1)
	}
	return r
}

func (r stream) and(body string, trailers ...field) stream {
	r.body, r.trailers = body, trailers
	return r
}

// TestHTTP2 repeats the checks of TestFraming and the other tests with HTTP/2: a
// malformed request (RFC 9113 §8) ends the stream, one with another meaning in HTTP/1 is
// refused, and neither reaches an API.
func TestHTTP2(t *testing.T) {
	t.Parallel()
	const (
		broken  = "PROTOCOL_ERROR"
		refused = "400" // by net/http
		invalid = "400 invalid_request"
		either  = invalid + " or " + broken // whichever arrives first
		method  = "405 method_not_allowed"
		seen    = "GET /raw/x"
		seenAB  = "POST /raw/x ab"
	)
	upload := func(more ...field) stream { return ask2("POST", "/raw/x", more...) }
	tests := []struct {
		name          string
		request       stream
		answers, seen string
	}{
		{"good", ask2("GET", "/raw/x"), "200", seen},
		{"good upload", upload(field{"content-length", "2"}).and("ab"), "200", seenAB},
		{"good upload without length", upload().and("ab"), "200", seenAB},
		{"cookies in parts", ask2("GET", "/raw/x", field{"cookie", testkit.Cookies(publicURL).Session + "=evil"}, field{"cookie", "__Host-Http-session=evil"}, field{"cookie", "a=evil"}), "200", seen + `, Cookie: ["a=evil"]`},
		{"headers that are ours", ask2("GET", "/raw/x", field{"authorization", "evil"}, field{"forwarded", "evil"}, field{"x_forwarded_for", "evil"}), "200", seen},
		{"host and authority", ask2("GET", "/raw/x", field{"host", "evil.example"}), "200", seen},

		{"connection", ask2("GET", "/raw/x", field{"connection", "authorization"}), refused, ""},
		{"keep-alive", ask2("GET", "/raw/x", field{"keep-alive", "timeout=5"}), refused, ""},
		{"proxy-connection", ask2("GET", "/raw/x", field{"proxy-connection", "close"}), refused, ""},
		{"transfer-encoding", upload(field{"transfer-encoding", "chunked"}).and("0\r\n\r\n" + smuggled), refused, ""},
		{"upgrade", ask2("GET", "/raw/x", field{"upgrade", "h2c"}), refused, ""},
		{"te", ask2("GET", "/raw/x", field{"te", "gzip"}), refused, ""},
		{"te: trailers", ask2("GET", "/raw/x", field{"te", "trailers"}), "200", seen},

		{"length and no body", upload(field{"content-length", "5"}), broken, ""},
		{"length over the body", upload(field{"content-length", "90"}).and("ab"), invalid, ""},
		{"length under the body", upload(field{"content-length", "1"}).and("ab" + smuggled), broken, ""},
		{"length negative", upload(field{"content-length", "-2"}).and("ab"), either, ""},
		{"length with plus", upload(field{"content-length", "+2"}).and("ab"), either, ""},
		{"length hexadecimal", upload(field{"content-length", "0x2"}).and("ab"), either, ""},
		{"length empty", upload(field{"content-length", ""}).and("ab"), either, ""},
		{"length as a list", upload(field{"content-length", "2, 2"}).and("ab"), either, ""},
		{"length twice", upload(field{"content-length", "2"}, field{"content-length", "90"}).and("ab"), broken, ""},
		{"length twice, the other way", upload(field{"content-length", "90"}, field{"content-length", "2"}).and("ab"), broken, ""},

		{"trailers", upload().and("ab", field{"authorization", "evil"}, field{"content-length", "5"}), "200", seenAB},
		{"trailers with a path", upload().and("ab", field{":path", "/raw/evil"}), broken, ""},

		{"name in capitals", ask2("GET", "/raw/x", field{"X-Evil", "x"}), broken, ""},
		{"name with CRLF", ask2("GET", "/raw/x", field{"x: y\r\nevil", "z"}), broken, ""},
		{"name with colon", ask2("GET", "/raw/x", field{"x:", "z"}), broken, ""},
		{"name with space", ask2("GET", "/raw/x", field{"transfer-encoding ", "chunked"}), broken, ""},
		{"no name", ask2("GET", "/raw/x", field{"", "z"}), broken, ""},
		{"value with CRLF", ask2("GET", "/raw/x", field{"x", "y\r\nevil: z"}), broken, ""},
		{"value with LF", ask2("GET", "/raw/x", field{"x", "y\nevil: z"}), broken, ""},
		{"value with NUL", ask2("GET", "/raw/x", field{"x", "y\x00"}), broken, ""},
		{"values that are endless", ask2("GET", "/raw/x", slices.Repeat([]field{{"x", strings.Repeat("x", 10<<10)}}, 7)...), "431", ""},

		{"method with space", with(":method", "GET /raw/evil HTTP/1.1"), method, ""},
		{"method with tab", with(":method", "GE\tT"), method, ""},
		{"method with CRLF", with(":method", "GET /raw/evil HTTP/1.1\r\nevil: x"), broken, ""},
		{"no method", with(":method", ""), broken, ""},
		{"TRACE", with(":method", "TRACE"), method, ""},
		{"CONNECT", stream{header: []field{{":method", "CONNECT"}, {":authority", "evil.example:443"}}}, invalid, ""},
		{"CONNECT with a path", with(":method", "CONNECT"), broken, ""},
		{"CONNECT to a WebSocket", stream{header: []field{
			{":method", "CONNECT"},
			{":protocol", "websocket"},
			{":scheme", "http"},
			{":authority", "localhost:8080"},
			{":path", "/live/socket"},
			{"origin", publicURL},
			{"sec-websocket-version", "13"},
		}}, broken, ""},

		{"path with space in the query", with(":path", "/raw/x? HTTP/1.1"), invalid, ""},
		{"path with space", with(":path", "/raw/x HTTP/1.1"), invalid, ""},
		{"path with tab", with(":path", "/raw/x?\ty"), broken, ""},
		{"path with CRLF", with(":path", "/raw/x HTTP/1.1\r\nevil: x"), broken, ""},
		{"path with host", with(":path", "http://evil.example/raw/x"), broken, ""},
		{"path with two slashes", with(":path", "//evil.example/raw/x"), invalid, ""},
		{"path with dots", with(":path", "/raw/../x"), invalid, ""},
		{"path with fragment", with(":path", "/raw/x#y"), invalid, ""},
		{"path that is a star", with(":path", "*"), invalid, ""},
		{"OPTIONS *", ask2("OPTIONS", "*"), invalid, ""},
		{"path without slash", with(":path", "raw/x"), broken, ""},
		{"path twice", ask2("GET", "/raw/x", field{":path", "/raw/evil"}), broken, ""},
		{"no path", with(":path", ""), broken, ""},
		{"scheme with CRLF", with(":scheme", "http\r\nevil: x"), broken, ""},
		{"scheme that is another", with(":scheme", "gopher"), broken, ""},
		{"no scheme", with(":scheme", ""), broken, ""},
		{"authority that is another's", with(":authority", "evil.example"), "200", seen},
		{"authority with CRLF", with(":authority", "x\r\nevil: y"), broken, ""},
		{"authority with user", with(":authority", "evil@x"), broken, ""},
		{"no authority", with(":authority", ""), "200", seen},
		{"pseudo-header of nobody", stream{header: append([]field{{":evil", "x"}}, ask2("GET", "/raw/x").header...)}, broken, ""},
		{"pseudo-header behind others", stream{header: append([]field{{"x", "y"}}, ask2("GET", "/raw/x").header...)}, broken, ""},
	}
	for name, listen := range map[string]func(t *testing.T) (*service, *wireAPI, *tls.Config){
		"without TLS": func(t *testing.T) (*service, *wireAPI, *tls.Config) {
			t.Helper()
			s, up := startWire(t, "h2c: true")
			return s, up, nil
		},
		"over TLS": startWireTLS,
	} {
		t.Run(name, func(t *testing.T) {
			s, up, secured := listen(t)
			for _, tt := range tests {
				t.Run(tt.name, func(t *testing.T) {
					answered := wire2(t, s.dial2(t, secured), tt.request)
					if !slices.Contains(strings.Split(tt.answers, " or "), answered) {
						t.Errorf("answered %s, want %s", answered, tt.answers)
					}
					saw, allowed := cmp.Or(up.take(), "nothing"), strings.Split(cmp.Or(tt.seen, "nothing"), " or ")
					if !slices.Contains(allowed, saw) {
						t.Errorf("the API saw %q, want %q", saw, allowed)
					}
				})
			}
		})
	}
}

// dial2 connects, over TLS if there is a configuration.
func (s *service) dial2(t *testing.T, secured *tls.Config) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.at.Public)
	if err != nil {
		t.Fatal(err)
	}
	if secured == nil {
		return conn
	}
	return tls.Client(conn, secured)
}

func startWireTLS(t *testing.T) (*service, *wireAPI, *tls.Config) {
	t.Helper()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	certificate, key := newPair(t, 1)
	for file, content := range map[string]string{certFile: certificate, keyFile: key} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, up := startWire(t, fmt.Sprintf("tls: {cert_file: %q, key_file: %q}", certFile, keyFile))
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(certificate)) {
		t.Fatal("no certificate")
	}
	return s, up, &tls.Config{RootCAs: roots, ServerName: "localhost", NextProtos: []string{"h2"}}
}
