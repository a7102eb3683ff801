//go:build e2e

package deploy_test

import (
	"archive/tar"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/match"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/partial"

	"cognito-token-handler/test/cognitotest"
)

// container returns the root file system of a container of the image for this machine,
// and the image's configuration.
func container(t *testing.T) (root, *v1.ConfigFile) {
	t.Helper()
	all, err := layout.ImageIndexFromPath(artifact(t, "image", "image"))
	if err != nil {
		t.Fatal(err)
	}
	indexes, err := partial.FindIndexes(all, func(v1.Descriptor) bool { return true })
	if err != nil || len(indexes) != 1 {
		t.Fatalf("%d indexes: %v", len(indexes), err)
	}
	images, err := partial.FindImages(indexes[0], match.Platforms(v1.Platform{OS: "linux", Architecture: runtime.GOARCH}))
	if err != nil || len(images) != 1 {
		t.Fatalf("%d images for linux/%s: %v", len(images), runtime.GOARCH, err)
	}
	config, err := images[0].ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	r := newRoot(t)
	r.unpack(images[0])
	return r, config
}

func (r root) unpack(image v1.Image) {
	r.t.Helper()
	files := mutate.Extract(image)
	defer func() { _ = files.Close() }()
	for archive := tar.NewReader(files); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			r.t.Fatal(err)
		}
		if header.FileInfo().IsDir() {
			if err := os.MkdirAll(r.path(header.Name), header.FileInfo().Mode()); err != nil {
				r.t.Fatal(err)
			}
			continue
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			r.t.Fatal(err)
		}
		r.write(header.Name, string(content), header.FileInfo().Mode())
	}
}

// TestTheImageRuns: what a container engine does with the image: its entry point, its user
// and its directory, and a file system that the service does not write to.
func TestTheImageRuns(t *testing.T) {
	r, image := container(t)
	if image.Config.User != "65532:65532" {
		t.Fatalf("the image's user is %q", image.Config.User)
	}
	pool := cognitotest.New(t, cognitotest.Options{CallbackURLs: []string{"http://localhost:8080/auth/callback"}})
	config := strings.Replace(configuration(pool), "provider: {", "provider: {client_secret_file: /run/secrets/client_secret, ", 1)
	r.write(image.Config.WorkingDir+"/tokenhandler.yaml", config+"session: {keys_file: /run/secrets/session_keys}\n", 0o644)
	r.write("/run/secrets/client_secret", cognitotest.DefaultSecret, 0o644)
	r.write("/run/secrets/session_keys", r.run(unprivileged, nil, image.Config.Entrypoint[0], "keygen"), 0o644)
	before := r.files()
	// The engine sets this variable, and the directory of the image.
	arguments := append(slices.Clone(image.Config.Entrypoint), "--config", image.Config.WorkingDir+"/tokenhandler.yaml")
	r.serve(append(image.Config.Env, "container=oci"), arguments...)
	if after := r.files(); after != before+1 { // the socket of the test
		t.Errorf("the service has written to its file system: %d files, %d before", after, before)
	}
}

// files counts the files of the root file system.
func (r root) files() (count int) {
	r.t.Helper()
	err := fs.WalkDir(os.DirFS(r.dir), ".", func(_ string, _ fs.DirEntry, err error) error {
		count++
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return count
}

// TestTheServiceDoesNotContainTheBuilder: what makes the image is not linked into it.
func TestTheServiceDoesNotContainTheBuilder(t *testing.T) {
	r, image := container(t)
	out := succeed(t, exec.CommandContext(t.Context(), tool(t, "go"), "version", "-m", r.path(image.Config.Entrypoint[0])))
	for _, foreign := range []string{"go-containerregistry", "x509roots", "k8s.io"} {
		if strings.Contains(out, foreign) {
			t.Errorf("the binary contains %s", foreign)
		}
	}
	if !strings.Contains(out, "\tCGO_ENABLED=0\n") {
		t.Error("the binary is not static")
	}
}
