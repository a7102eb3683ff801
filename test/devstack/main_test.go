package devstack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"cognito-token-handler/config"
)

// TestMain lets the test binary play the token handler: started with "serve --config FILE" it reads the file as the real one does,
// answers /readyz with 200, and ends on a signal.
func TestMain(m *testing.M) {
	if len(os.Args) < 4 || os.Args[1] != "serve" {
		os.Exit(m.Run())
	}
	if err := serve(os.Args[3]); err != nil {
		_, _ = fmt.Println("fault:", err)
		os.Exit(1)
	}
}

func serve(file string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	c, err := config.Load(content, file, os.Environ(), config.Machine{ReadFile: os.ReadFile})
	if err != nil {
		return err
	}
	_, _ = fmt.Println("standing in at", c.Listen)
	failed := make(chan error, 3)
	app, admin := http.NewServeMux(), http.NewServeMux()
	admin.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	app.HandleFunc("GET /env", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(os.Environ()) })
	app.HandleFunc("GET /file", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content) })
	app.HandleFunc("POST /die", func(http.ResponseWriter, *http.Request) { failed <- errors.New("these are my last words") })
	for address, handler := range map[string]http.Handler{c.Listen: app, c.Admin.Listen: admin} {
		server := &http.Server{Addr: address, Handler: handler, ReadHeaderTimeout: time.Minute}
		go func() { failed <- server.ListenAndServe() }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		_, _ = fmt.Println("asked to stop")
		return nil
	}
}
