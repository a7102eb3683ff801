package devstack_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
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

// loadConfig reads a configuration as the token handler does.
func loadConfig(content []byte, file string) (config.Config, error) {
	return config.Load(content, file, os.Environ(), config.Machine{ReadFile: os.ReadFile})
}

func serve(file string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	c, err := loadConfig(content, file)
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
	public, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	private, err := net.Listen("tcp", c.Admin.Listen) // last: who gets an answer here may ask there
	if err != nil {
		return err
	}
	for listener, handler := range map[net.Listener]http.Handler{public: app, private: admin} {
		server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
		go func() { failed <- server.Serve(listener) }()
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		_, _ = fmt.Println("asked to stop")
		return nil
	}
}
