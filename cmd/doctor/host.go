package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
)

// fewFiles is the limit of open files below which is warned: each request to an API takes
// two, and each WebSocket.
const fewFiles = 4096

// host examines the machine: its ports, the limit of open files, and the session keys.
func (d *doctor) host(ctx context.Context) []Finding {
	found := []Finding{d.port(ctx, "listen", d.Service.Listen), d.port(ctx, "admin.listen", d.Service.Admin.Listen)}
	if limit, known := openFiles(); known {
		found = append(found, judgeFiles(limit))
	}
	return append(found, d.keys()...)
}

func judgeFiles(limit uint64) Finding {
	what := fmt.Sprintf("This process may open %d files at once.", limit)
	if limit < fewFiles {
		return warning(AreaHost, what, "Raise the limit of the service: LimitNOFILE= of its systemd unit, or ulimit -n.")
	}
	return good(AreaHost, "%s", what)
}

// port opens a listener of the service for a moment.
func (d *doctor) port(ctx context.Context, key, address string) Finding {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	what := key + ": " + address
	switch {
	case err == nil:
		_ = listener.Close()
		return good(AreaHost, "%s is free.", what)
	case errors.Is(err, syscall.EADDRINUSE) && d.isRunning(ctx):
		return warning(AreaHost, what+" is in use: a token handler runs at admin.listen here.", "Nothing, if that is the service that you examine.")
	case errors.Is(err, syscall.EADDRINUSE):
		return fault(AreaHost, what+" is in use by another program.", "Stop that program, or write another port.")
	case errors.Is(err, syscall.EACCES):
		return fault(AreaHost, what+" may not be used by this user.", "Write a port from 1024 on, or give the service the capability CAP_NET_BIND_SERVICE.")
	}
	return fault(AreaHost, what+" cannot be listened at.", "Write an address that this machine has, or the port alone.")
}

// isRunning reports whether a token handler answers at admin.listen.
func (d *doctor) isRunning(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, d.Call)
	defer cancel()
	host, port, err := net.SplitHostPort(d.Service.Admin.Listen)
	if err != nil {
		return false
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", http.NoBody)
	if err != nil {
		return false
	}
	transport := &http.Transport{} // without a proxy
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		return false
	}
	defer func() { _ = answer.Body.Close() }()
	var body struct{ Status string }
	return answer.StatusCode == http.StatusOK && json.NewDecoder(io.LimitReader(answer.Body, maxText)).Decode(&body) == nil && body.Status == "ok"
}
