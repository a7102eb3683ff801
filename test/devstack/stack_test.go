package devstack_test

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"cognito-token-handler/test/devstack"
	"cognito-token-handler/test/devstack/process"
)

// The tests here stop before anything is started, and need no tools.

func TestTakenPortsAreNamedInOneLine(t *testing.T) {
	var ports devstack.Ports
	for _, port := range []*int{&ports.App, &ports.S3, &ports.Redis} {
		listener, err := process.Listen(0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = listener.Close() })
		if *port, err = process.Port(listener); err != nil {
			t.Fatal(err)
		}
	}
	app, s3, redis := strconv.Itoa(ports.App), strconv.Itoa(ports.S3), strconv.Itoa(ports.Redis)
	_, err := devstack.Start(t.Context(), devstack.Options{Binary: os.Args[0], Ports: ports})
	want := "port " + app + ", which the app needs, is taken; port " + s3 + ", which the S3 server needs, is taken"
	if err == nil || err.Error() != want {
		t.Errorf("err = %v\nwant  %s", err, want)
	}
	_, err = devstack.StartServers(t.Context(), devstack.Options{Ports: ports, Redis: true})
	want = "port " + s3 + ", which the S3 server needs, is taken; port " + redis + ", which Redis needs, is taken"
	if err == nil || err.Error() != want {
		t.Errorf("err = %v\nwant  %s", err, want)
	}
}

func TestFaultyAppsAndAPIsAreExplained(t *testing.T) {
	for _, args := range [][]string{
		{"-app", "localhost:5173"},
		{"-app", "http://localhost:5173/app"},
		{"-app", ""},
		{"-api", "api=http://localhost:3000"},
		{"-api", "/api=http://localhost:3000"},
		{"-api", "http://localhost:3000/v1"},
		{"-login-url", "phone"},
	} {
		for _, run := range []func(context.Context, []string, io.Writer) error{devstack.Run, devstack.RunServers} {
			err := run(t.Context(), args, io.Discard)
			if err == nil || !strings.Contains(err.Error(), "write scheme, host and port") && !strings.Contains(err.Error(), "begin and end with a slash") {
				t.Errorf("%q: %v", args, err)
			}
		}
	}
}

func TestPortTakenOnTheOtherLocalhost(t *testing.T) {
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Logf("this machine has no IPv6: %v", err)
		return
	}
	t.Cleanup(func() { _ = listener.Close() })
	port, err := process.Port(listener)
	if err != nil {
		t.Fatal(err)
	}
	_, err = devstack.Start(t.Context(), devstack.Options{Binary: os.Args[0], Ports: devstack.Ports{Cognito: port}})
	if err == nil || !strings.Contains(err.Error(), "which cognito-local needs") {
		t.Errorf("err = %v", err)
	}
}

func TestMissingBuildsNameTheCure(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "nothing")
	for name, options := range map[string]devstack.Options{
		"token handler": {Binary: missing},
		"demo page":     {Binary: os.Args[0], SPADir: missing},
	} {
		_, err := devstack.Start(t.Context(), options)
		if err == nil || !strings.Contains(err.Error(), name+" is not built (run `make build`)") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestConfigSet(t *testing.T) {
	config := devstack.Config{"session": devstack.Config{"keys_file": "k"}}
	config.Set("session.idle_timeout", "2s")
	config.Set("provider.endpoints.jwks", "http://x")
	config.Set("listen", "localhost:1")
	session, _ := config["session"].(devstack.Config)
	provider, _ := config["provider"].(devstack.Config)
	endpoints, _ := provider["endpoints"].(devstack.Config)
	if session["keys_file"] != "k" || session["idle_timeout"] != "2s" || endpoints["jwks"] != "http://x" || config["listen"] != "localhost:1" {
		t.Errorf("config = %v", config)
	}
}
