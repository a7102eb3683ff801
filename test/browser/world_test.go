//go:build e2e

package browser_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"golang.org/x/sync/errgroup"

	"cognito-token-handler/test/devstack"
	"cognito-token-handler/test/devstack/process"
	"cognito-token-handler/test/testkit"
)

// world is one local stack and one browser with an empty profile.
type world struct {
	t       *testing.T
	stack   *devstack.Stack
	browser context.Context
	tabs    []*tab
}

// newWorld starts both. flags are further ones of Chromium.
func newWorld(t *testing.T, options devstack.Options, flags ...chromedp.ExecAllocatorOption) *world {
	t.Helper()
	begun := time.Now()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("chromium is not installed: run `make tools`")
	}
	options.Binary, options.SPADir = os.Getenv("TOKENHANDLER_BINARY"), filepath.Join(repo(t), "test", "demo", "spa", "dist")
	w := &world{t: t}
	var group errgroup.Group
	group.Go(func() (err error) {
		w.stack, err = devstack.Start(t.Context(), options)
		return err
	})
	t.Cleanup(func() {
		if _ = group.Wait(); w.stack == nil {
			return
		}
		if t.Failed() {
			t.Logf("the token handler wrote:\n%s", w.stack.HandlerLog())
		}
		w.stack.Close()
	})
	w.browser = startChromium(t, program, flags)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Logf("the stack and the browser were up after %s", time.Since(begun).Round(time.Millisecond))
	return w
}

func startChromium(t *testing.T, program string, further []chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	flags := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(program), chromedp.UserDataDir(profile(t)), chromedp.WindowSize(1280, 900), chromedp.WSURLReadTimeout(testkit.Deadline),
		chromedp.Headless, chromedp.Flag("disable-gpu", true), chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("disable-dev-shm-usage", true), chromedp.Flag("disable-default-apps", true),
		chromedp.Flag("disable-extensions", true), chromedp.Flag("disable-features", "Translate,MediaRouter,OptimizationHints"),
		chromedp.Flag("disable-popup-blocking", true), // the hostile pages may open windows
		chromedp.Flag("password-store", "basic"), chromedp.Flag("force-color-profile", "srgb"), chromedp.Flag("lang", "en-US"),
		chromedp.Env("TZ=UTC"),
	}
	if os.Geteuid() == 0 {
		flags = append(flags, chromedp.NoSandbox) // Chromium's sandbox refuses to run as root
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(), append(flags, further...)...)
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(allocator)
	t.Cleanup(end)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting chromium: %v", err)
	}
	return ctx
}

// profile returns a folder for what a browser keeps. Processes of the browser may write there for a moment after its end.
func profile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "browser-") //nolint:usetesting // the removal of t.TempDir fails then
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		testkit.Eventually(t, "the removal of "+dir, func() bool { return os.RemoveAll(dir) == nil })
	})
	return dir
}

func repo(t *testing.T) string {
	t.Helper()
	dir, err := process.RepoDir()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// screenshots is the folder that keeps them.
func screenshots(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("TOKENHANDLER_SCREENSHOTS")
	if dir == "" {
		dir = filepath.Join(repo(t), ".build", "screenshots")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// onAnotherSite moves the hosted UI to 127.0.0.1, which to a browser is another site than localhost, as Cognito's domain is in
// production: only then do SameSite rules and cross-site redirects show.
func onAnotherSite(stack *devstack.Stack, config devstack.Config) {
	elsewhere := strings.Replace(stack.Pool.URL, "localhost", "127.0.0.1", 1)
	config.Set("provider.endpoints.authorization", elsewhere+"/oauth2/authorize")
	config.Set("provider.endpoints.logout", elsewhere+"/logout")
}
