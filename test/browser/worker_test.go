//go:build e2e

package browser_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"cognito-token-handler/test/cognitolocal"
	"cognito-token-handler/test/devstack"
)

// TestServiceWorker uses an app whose service worker, made by vite-plugin-pwa, answers from its cache: it serves the app without a
// network, and leaves the service's paths alone, as the recipe of the client's README.md has it.
func TestServiceWorker(t *testing.T) {
	w := newWorld(t, devstack.Options{ExtraConfig: func(stack *devstack.Stack, config devstack.Config) {
		onAnotherSite(stack, config)
		config.Set("spa.dir", filepath.Join(repo(t), "test", "browser", "testdata", "stacks", "vite-pwa", "built"))
	}})
	tab := w.tab()
	tab.open("/")
	tab.waitStatus("anonymous")
	tab.wait(`navigator.serviceWorker.controller?.state === "activated"`)
	tab.open("/some/page")
	tab.waitStatus("anonymous")
	if !run[bool](tab, `performance.getEntriesByType("navigation")[0].workerStart > 0`) {
		t.Error("the page did not come from the worker")
	}

	tab.clientLogin(cognitolocal.DemoUser, `{ returnTo: "/some/page?after=login" }`)
	if at := run[string](tab, "location.pathname + location.search"); at != "/some/page?after=login" {
		t.Errorf("the login led to %s", at)
	}
	tab.wantFetch(`"/api/me"`, http.StatusOK)
	tab.wantFetch(`"/storage/objects"`, http.StatusOK)
	for path, want := range map[string]string{"/auth/session": `"authenticated":true`, "/api/me": `"claims":`, "/storage/objects": `"objects":`} {
		tab.open(path)
		if shown := run[string](tab, "document.body.innerText"); !strings.Contains(shown, want) {
			t.Errorf("a navigation to %s shows %.200q", path, shown)
		}
	}

	tab.open("/")
	tab.waitStatus("authenticated")
	tab.offline(true)
	tab.open("/without/a/network")
	tab.wait(`document.querySelector("h1")?.innerText === "app"`)
	tab.offline(false)
	tab.open("/")
	tab.waitStatus("authenticated")
	run[any](tab, `window.leaving = true; auth.logout(); null`)
	tab.wait(`!window.leaving && window.auth?.session.status === "anonymous"`)
	if cached := run[string](tab, cachedPaths); strings.Contains(cached, "/auth/") || strings.Contains(cached, "/api/") || strings.Contains(cached, "/storage/") {
		t.Errorf("the worker keeps answers of the service: %s", cached)
	}
	tab.wantNoSecretVisible()
}

// cachedPaths lists what the caches of service workers hold.
const cachedPaths = `(async () => {
  const paths = []
  for (const name of await caches.keys()) for (const { url } of await (await caches.open(name)).keys()) paths.push(new URL(url).pathname)
  return paths.join(" ")
})()`
