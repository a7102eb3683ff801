package doctor_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/cmd/doctor"
)

func TestPorts(t *testing.T) {
	taken := accept(t, func(net.Conn) {})
	r := setup{listen: taken}.examine(t)
	want(t, r, doctor.AreaHost, doctor.Fault, "listen: "+taken+" is in use by another program", "another port")
	want(t, r, doctor.AreaHost, doctor.Good, "admin.listen: localhost:0 is free", "")

	running := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":"ok"}`) }))
	defer running.Close()
	admin := running.Listener.Addr().String()
	r = setup{listen: taken, admin: admin}.examine(t)
	want(t, r, doctor.AreaHost, doctor.Warning, "listen: "+taken+" is in use: a token handler runs", "if that is the service")
	want(t, r, doctor.AreaHost, doctor.Warning, "admin.listen: "+admin+" is in use: a token handler runs", "if that is the service")

	r = setup{listen: "192.0.2.1:8080"}.examine(t)
	want(t, r, doctor.AreaHost, doctor.Fault, "listen: 192.0.2.1:8080 cannot be listened at", "that this machine has")
}

// TestUpstreams checks an upstream of each kind, and each fault.
func TestUpstreams(t *testing.T) {
	year := time.Now().AddDate(1, 0, 0)
	good := secureServer(t, issue(authority, "localhost", year), http.NotFoundHandler())
	other := secureServer(t, issue(issue(nil, "other", year), "localhost", year), http.NotFoundHandler())
	socket := filepath.Join(t.TempDir(), "api.sock")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	open := accept(t, func(net.Conn) {})
	r := setup{lines: strings.NewReplacer("GOOD", good, "OTHER", other, "OPEN", open, "FREE", free(t), "SOCKET", socket).Replace(`
api:
  routes:
    - {path: /a/, upstream: "https://localhost:GOOD"}
    - {path: /b/, upstream: "https://localhost:OTHER"}
    - {path: /c/, upstream: "http://FREE"}
    - {path: /d/, upstream: "h2c://OPEN"}
    - {path: /e/, upstream: "unix://SOCKET"}
    - {path: /f/, upstream: "unix:///no/such.sock"}
`)}.examine(t)
	want(t, r, doctor.AreaUpstream, doctor.Good, "The upstream of /a/ is reached at localhost:"+good+": TLS 1.3", "")
	want(t, r, doctor.AreaUpstream, doctor.Fault, "The upstream of /b/ is not reached", "upstream_ca_file")
	want(t, r, doctor.AreaUpstream, doctor.Fault, "The upstream of /c/ is not reached", "Start the server")
	want(t, r, doctor.AreaUpstream, doctor.Good, "The upstream of /d/ is reached", "")
	want(t, r, doctor.AreaUpstream, doctor.Good, "The upstream of /e/ is reached at "+socket, "")
	want(t, r, doctor.AreaUpstream, doctor.Fault, "The upstream of /f/ is not reached at /no/such.sock: ", "")
	r = setup{lines: "api: {routes: [{path: /g/, upstream: \"https://" + silent(t) + "\"}]}", call: 200 * time.Millisecond}.examine(t)
	want(t, r, doctor.AreaUpstream, doctor.Fault, "The upstream of /g/ is not reached", "firewalls")
}

func TestOpenFiles(t *testing.T) {
	r := read(t, []doctor.Finding{doctor.JudgeFiles(1024), doctor.JudgeFiles(65536)})
	want(t, r, doctor.AreaHost, doctor.Warning, "1024 files", "LimitNOFILE=")
	want(t, r, doctor.AreaHost, doctor.Good, "65536 files", "")
}

// TestAuditFileIsNotTouched: a service that runs here writes to it, or will make it with
// its own user.
func TestAuditFileIsNotTouched(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.log")
	lines := fmt.Sprintf("audit: {output: file, file: %q, on_failure: refuse}", path)
	wantNone(t, setup{lines: lines}.examine(t), doctor.Fault, doctor.AreaConfig)
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file was made: %v", err)
	}
	if err := os.WriteFile(path, []byte("part"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantNone(t, setup{lines: lines}.examine(t), doctor.Fault, doctor.AreaConfig)
	if content, err := os.ReadFile(path); err != nil || string(content) != "part" {
		t.Errorf("the file has %q, %v", content, err)
	}
	lines = fmt.Sprintf("audit: {output: file, file: %q}", filepath.Join(path, "x"))
	want(t, setup{lines: lines}.examine(t), doctor.AreaConfig, doctor.Fault, "audit.file: opening the audit file", "check")
}
