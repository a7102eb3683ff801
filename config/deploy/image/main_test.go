package main

import (
	"archive/tar"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/validate"
)

// build builds an image for two architectures with binaries that cannot run.
func build(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	args := []string{"-out", filepath.Join(dir, "image"), "-version", "v1.2.3", "-revision", "abc", "-created", "1767225600"}
	for _, architecture := range []string{"amd64", "arm64"} {
		binary := filepath.Join(dir, architecture)
		if err := os.WriteFile(binary, []byte("binary for "+architecture), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, architecture+"="+binary)
	}
	for range 2 { // the second run replaces the first one's image
		if err := run(args, t.Output()); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "image")
}

func index(t *testing.T, dir string) v1.ImageIndex {
	t.Helper()
	all, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := all.IndexManifest()
	if err != nil || len(manifest.Manifests) != 1 || manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "v1.2.3" {
		t.Fatalf("the layout has %+v %v, want one index", manifest, err)
	}
	index, err := all.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// TestBuiltTwiceTheImageIsTheSame: whoever builds a version again can compare its digest.
func TestBuiltTwiceTheImageIsTheSame(t *testing.T) {
	first, second := contents(t, build(t)), contents(t, build(t))
	if diff := cmp.Diff(first, second); diff != "" || len(first) < 8 {
		t.Errorf("%d files; they differ: %s", len(first), diff)
	}
}

// contents returns the content of every file, by name.
func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		found[strings.TrimPrefix(path, dir)] = string(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestTheIndexHasAnImageForEachArchitecture(t *testing.T) {
	index := index(t, build(t))
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	var architectures []string
	for _, m := range manifest.Manifests {
		architectures = append(architectures, m.Platform.OS+"/"+m.Platform.Architecture)
		image, err := index.Image(m.Digest)
		if err != nil {
			t.Fatal(err)
		}
		checkConfig(t, image, m.Platform.Architecture)
		files := unpack(t, image)
		if files["usr/bin/tokenhandler"] != "binary for "+m.Platform.Architecture {
			t.Errorf("%s has the binary %q", m.Platform, files["usr/bin/tokenhandler"])
		}
		if !x509.NewCertPool().AppendCertsFromPEM([]byte(files["etc/ssl/certs/ca-certificates.crt"])) {
			t.Errorf("%s has no certificate authorities", m.Platform)
		}
	}
	if !slices.Equal(architectures, []string{"linux/amd64", "linux/arm64"}) || manifest.Annotations["org.opencontainers.image.version"] != "v1.2.3" {
		t.Errorf("the index is %+v", manifest)
	}
}

func checkConfig(t *testing.T, image v1.Image, architecture string) {
	t.Helper()
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"org.opencontainers.image.title":       "tokenhandler",
		"org.opencontainers.image.description": "Token handler for single-page apps on Amazon Cognito",
		"org.opencontainers.image.version":     "v1.2.3",
		"org.opencontainers.image.revision":    "abc",
		"org.opencontainers.image.created":     "2026-01-01T00:00:00Z",
	}
	if diff := cmp.Diff(want, config.Config.Labels); diff != "" {
		t.Errorf("labels: %s", diff)
	}
	if config.Config.User != "65532:65532" || config.Architecture != architecture || !slices.Equal(config.Config.Entrypoint, []string{"/usr/bin/tokenhandler"}) {
		t.Errorf("config: %+v", config)
	}
}

// unpack returns the files of an image. All belong to root, and nobody else can change them.
func unpack(t *testing.T, image v1.Image) map[string]string {
	t.Helper()
	files := map[string]string{}
	unpacked := mutate.Extract(image)
	defer func() { _ = unpacked.Close() }()
	for reader := tar.NewReader(unpacked); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		if header.Uid != 0 || header.Mode&0o022 != 0 {
			t.Errorf("%s belongs to %d and has the mode %o", header.Name, header.Uid, header.Mode)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(content)
	}
}

func TestFaultyArgumentsAreRefused(t *testing.T) {
	for _, args := range [][]string{{}, {"-out", t.TempDir()}, {"-out", t.TempDir(), "amd64"}, {"-out", t.TempDir(), "amd64=/nowhere"}, {"-nothing"}} {
		if err := run(args, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
}
