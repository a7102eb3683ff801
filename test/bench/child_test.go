//go:build e2e

package bench_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/testkit"
)

// setting is the setting in which a proxy's process runs.
type setting struct {
	core string // the core that it is pinned to; empty for all
	gogc string // GOGC
}

// String names the setting in a table.
func (s setting) String() string {
	if s.core == "" {
		return "all cores, GOGC=" + s.gogc
	}
	return "pinned to core " + s.core + ", GOGC=" + s.gogc
}

// parseSetting reads "free:100" or "0:400".
func parseSetting(t *testing.T, text string) setting {
	t.Helper()
	cores, gogc, ok := strings.Cut(text, ":")
	if !ok {
		t.Fatalf("setting %q is not cores:GOGC", text)
	}
	if cores == "free" {
		cores = ""
	}
	return setting{core: cores, gogc: gogc}
}

// child is the process of a proxy that is measured, or of the upstream.
type child struct {
	address string
	pid     int
	log     *os.File
}

// start runs a program whose standard output and standard error go to a file.
func start(t *testing.T, s setting, program string, args, environ []string) *child {
	t.Helper()
	// O_APPEND is needed, so that truncating the file between rounds frees the disk.
	log, err := os.OpenFile(filepath.Join(t.TempDir(), "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{program}, args...)
	if s.core != "" {
		args = append([]string{"taskset", "-c", s.core}, args...)
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = process.Environment(append(environ, "GOGC="+s.gogc)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = log.Close()
	})
	return &child{pid: cmd.Process.Pid, log: log}
}

// startBinary starts the built binary of the service, whose log goes to a file.
func startBinary(t *testing.T, s setting, binary, configuration string) *child {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	c := start(t, s, binary, []string{"--config", file}, nil)
	c.address = c.await(t, func(line []byte) string {
		var record struct{ Msg, Public string }
		_ = json.Unmarshal(line, &record)
		return record.Public
	})
	return c
}

// The environment variables that give this test's binary the role of the upstream or of the bare proxy when it is started again.
const (
	upstreamEnv = "BENCH_UPSTREAM"
	bareEnv     = "BENCH_BARE"
)

func startUpstream(t *testing.T) string {
	t.Helper()
	return "http://" + startRole(t, setting{gogc: "400"}, upstreamEnv+"=yes").address
}

// startBare starts the reverse proxy that the service is compared with.
func startBare(t *testing.T, s setting, upstream string) *child {
	t.Helper()
	return startRole(t, s, bareEnv+"="+upstream)
}

func startRole(t *testing.T, s setting, environ string) *child {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := start(t, s, program, nil, []string{environ})
	c.address = c.await(t, func(line []byte) string {
		address, _ := strings.CutPrefix(string(line), "listening on ")
		return address
	})
	return c
}

// serveRole runs the role that the environment has, if any, until the process is killed.
func serveRole() (ran bool, err error) {
	switch {
	case os.Getenv(upstreamEnv) != "":
		return true, listenAndServe(answer(bodySize))
	case os.Getenv(bareEnv) != "":
		upstream, err := url.Parse(os.Getenv(bareEnv))
		if err != nil {
			return true, err
		}
		return true, listenAndServe(bareProxy(upstream))
	}
	return false, nil
}

func listenAndServe(h http.Handler) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println("listening on " + listener.Addr().String())
	return (&http.Server{Handler: h, ReadHeaderTimeout: time.Minute}).Serve(listener)
}

// answer returns an API that answers every request with JSON of that size.
func answer(size int) http.Handler {
	body := []byte(`{"data":"` + strings.Repeat("x", size-len(`{"data":""}`)) + `"}`)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = w.Write(body)
	})
}

// bareProxy returns the proxy that the service is compared with: the standard library's,
// with a pool of buffers and a transport that keeps its connections, and nothing else.
func bareProxy(upstream *url.URL) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(upstream) },
		Transport:  &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
		BufferPool: &buffers{},
	}
}

// buffers is an [httputil.BufferPool].
type buffers struct{ pool sync.Pool }

func (b *buffers) Get() []byte {
	if buffer, ok := b.pool.Get().(*[32 << 10]byte); ok {
		return buffer[:]
	}
	return make([]byte, 32<<10)
}

func (b *buffers) Put(buffer []byte) { b.pool.Put((*[32 << 10]byte)(buffer)) }

// await reads the log until address returns an address for a line.
func (c *child) await(t *testing.T, address func(line []byte) string) string {
	t.Helper()
	for deadline := time.Now().Add(testkit.Deadline); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		content, err := os.ReadFile(c.log.Name())
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(content)) {
			if at := address([]byte(strings.TrimSpace(line))); at != "" && strings.HasSuffix(line, "\n") {
				return at
			}
		}
	}
	content, _ := os.ReadFile(c.log.Name())
	t.Fatalf("a process did not start: %s", content)
	return ""
}

func (c *child) truncateLog(t *testing.T) {
	t.Helper()
	if err := c.log.Truncate(0); err != nil {
		t.Fatal(err)
	}
}

// times are a process's CPU times.
type times struct{ user, system time.Duration }

// used reads the process's CPU times, of all its threads, from proc_pid_stat(5).
func (c *child) used(t *testing.T) times {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.pid))
	if err != nil {
		t.Fatal(err)
	}
	// The second field is the program's name in parentheses, which may hold spaces.
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	ticks := func(field string) time.Duration {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(n) * (time.Second / userHZ)
	}
	return times{user: ticks(fields[11]), system: ticks(fields[12])}
}

// userHZ is the unit of the times in /proc (sysconf(_SC_CLK_TCK)), which is the same on every
// architecture of Linux that Go runs on.
const userHZ = 100

// login logs in and returns the session's cookies.
func login(t *testing.T, address string) string {
	t.Helper()
	begun := visit(t, address, publicURL+"/auth/login", "")
	for deadline := time.Now().Add(testkit.Deadline); begun.status != http.StatusFound; begun = visit(t, address, publicURL+"/auth/login", "") {
		if time.Now().After(deadline) { // the provider is connected a moment after the start
			t.Fatalf("the login answers %d", begun.status)
		}
		time.Sleep(10 * time.Millisecond)
	}
	hosted := visit(t, address, begun.location, "")
	done := visit(t, address, hosted.location, begun.cookies)
	if done.status != http.StatusSeeOther || !strings.Contains(done.cookies, testkit.Cookies(publicURL).Session+"=") {
		t.Fatalf("the callback answered %d to %s", done.status, done.location)
	}
	return done.cookies
}

// step is a response during a login. cookies are the cookies that it sets, as a browser
// sends them.
type step struct {
	status            int
	location, cookies string
}

func visit(t *testing.T, address, target, cookies string) step {
	t.Helper()
	path, own := strings.CutPrefix(target, publicURL)
	if own {
		target = "http://" + address + path
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if own {
		r.Host = strings.TrimPrefix(publicURL, "http://")
	}
	if cookies != "" {
		r.Header.Set("Cookie", cookies)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	var pairs []string
	for _, c := range answer.Cookies() {
		if c.MaxAge >= 0 {
			pairs = append(pairs, c.Name+"="+c.Value)
		}
	}
	return step{answer.StatusCode, answer.Header.Get("Location"), strings.Join(pairs, "; ")}
}
