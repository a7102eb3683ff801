//go:build e2e

package bench_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strings"
	"syscall"
	"testing"
	"time"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
)

// The process that is measured is this test's binary, started again with the
// configuration in its environment.
const configEnv = "BENCH_CONFIG"

func TestMain(m *testing.M) {
	if ran, err := serveRole(); ran {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if text := os.Getenv(configEnv); text != "" {
		if err := serve(text); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// served has the addresses of the measured process.
type served struct {
	// Ours is the public listener, Admin the admin listener, and Control reports on the
	// process.
	Ours, Admin, Control string
}

// usage is the CPU time and memory that the measured process has used so far.
type usage struct {
	CPU     time.Duration
	Mallocs uint64
	Bytes   uint64
	RSS     int64
	Peak    int64 // of RSS
}

// held is the memory, goroutines and files of the measured process.
type held struct {
	Heap, Objects     uint64 // after a garbage collection, if one was requested
	RSS               int64
	Goroutines, Files int
}

// serve runs the service and a bare proxy to the same upstream until its input ends.
func serve(text string) error {
	cfg, err := config.Load([]byte(text), "bench.yaml", nil, config.Machine{ReadFile: os.ReadFile})
	if err != nil {
		return err
	}
	sink, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0) // the request log must make its system calls
	if err != nil {
		return err
	}
	ctx := context.Background()
	service, err := app.New(ctx, cfg, slog.New(slog.NewJSONHandler(sink, nil)))
	if err != nil {
		return err
	}
	started := make(chan app.Addresses, 1)
	failed := make(chan error, 1)
	go func() { failed <- service.Run(ctx, func(at app.Addresses) { started <- at }) }()
	var at app.Addresses
	select {
	case at = <-started:
	case err := <-failed:
		return err
	}
	control, err := listen(controls())
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(served{Ours: at.Public, Admin: at.Admin, Control: control}); err != nil {
		return err
	}
	if profile := os.Getenv("BENCH_PROFILE"); profile != "" {
		file, err := os.Create(profile)
		if err != nil {
			return err
		}
		if err := pprof.StartCPUProfile(file); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	_, err = os.Stdin.Read(make([]byte, 1)) // until the parent closes it or dies
	_ = err
	return nil
}

func listen(h http.Handler) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	return listener.Addr().String(), nil
}

func controls() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", answerUsage)
	mux.HandleFunc("/held", answerHeld)
	mux.HandleFunc("/goroutines", func(w http.ResponseWriter, _ *http.Request) {
		_ = pprof.Lookup("goroutine").WriteTo(w, 1)
	})
	return mux
}

// answerHeld responds with what the process holds. If the request asks for it, it
// collects garbage first: twice, because a sync.Pool keeps its items for one more
// collection.
func answerHeld(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("collect") {
		runtime.GC()
		debug.FreeOSMemory()
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	files, _ := os.ReadDir("/proc/self/fd")
	_ = json.NewEncoder(w).Encode(held{
		Heap: memory.HeapAlloc, Objects: memory.HeapObjects, RSS: residentBytes("VmRSS"),
		Goroutines: runtime.NumGoroutine(), Files: len(files),
	})
}

func answerUsage(w http.ResponseWriter, _ *http.Request) {
	var times syscall.Rusage
	var memory runtime.MemStats
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &times)
	runtime.ReadMemStats(&memory)
	_ = json.NewEncoder(w).Encode(usage{
		CPU:     time.Duration(times.Utime.Nano() + times.Stime.Nano()),
		Mallocs: memory.Mallocs, Bytes: memory.TotalAlloc, RSS: residentBytes("VmRSS"), Peak: residentBytes("VmHWM"),
	})
}

// residentBytes reads the size in a line of proc_pid_status(5).
func residentBytes(name string) int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, line, _ := strings.Cut(string(status), "\n"+name+":")
	var kilobytes int64
	_, _ = fmt.Sscan(line, &kilobytes)
	return kilobytes << 10
}
