package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	entrypoint = "/usr/bin/tokenhandler"
	// workDir is where the service looks for tokenhandler.yaml.
	workDir = "/etc/tokenhandler"
	// user is a number, because Kubernetes cannot tell of a name that it is not root.
	user = "65532"
)

// release is what an image is made of.
type release struct {
	version, revision string
	created           time.Time
	binaries          []program
}

// program is the service for one architecture, in Go's words.
type program struct {
	architecture string
	binary       []byte
}

// write replaces the directory dir by an OCI image layout with one index, which names an
// image for each architecture.
func (r release) write(dir string) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range r.binaries {
		image, err := r.image(p)
		if err != nil {
			return fmt.Errorf("making the image for %s: %w", p.architecture, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: image, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: p.architecture}},
		})
	}
	annotated, ok := mutate.Annotations(index, r.labels()).(v1.ImageIndex)
	if !ok {
		return fmt.Errorf("annotating an index gave no index but %T", annotated)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("replacing the image: %w", err)
	}
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("writing the image: %w", err)
	}
	name := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": r.version})
	if err := path.AppendIndex(annotated, name); err != nil {
		return fmt.Errorf("writing the image: %w", err)
	}
	return nil
}

// labels returns the annotations of the OCI image specification that are known.
func (r release) labels() map[string]string {
	labels := map[string]string{
		"org.opencontainers.image.title":       "tokenhandler",
		"org.opencontainers.image.description": "Token handler for single-page apps on Amazon Cognito",
		"org.opencontainers.image.version":     r.version,
		"org.opencontainers.image.created":     r.created.Format(time.RFC3339),
	}
	if r.revision != "" {
		labels["org.opencontainers.image.revision"] = r.revision
	}
	return labels
}

// image makes the image for one architecture. The layer that changes with every version
// is the last.
func (r release) image(p program) (v1.Image, error) {
	base, err := baseFiles()
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, files := range [][]file{base, {{name: entrypoint, mode: 0o755, content: p.binary}}} {
		layer, err := layerOf(files)
		if err != nil {
			return nil, err
		}
		image, err = mutate.Append(image, mutate.Addendum{
			Layer: layer, History: v1.History{Created: v1.Time{Time: r.created}, CreatedBy: "tokenhandler " + r.version},
		})
		if err != nil {
			return nil, fmt.Errorf("adding a layer: %w", err)
		}
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", p.architecture, v1.Time{Time: r.created}
	config.Config = v1.Config{
		Entrypoint: []string{entrypoint}, WorkingDir: workDir, User: user + ":" + user, Labels: r.labels(),
		Env:          []string{"PATH=/usr/bin"},
		ExposedPorts: map[string]struct{}{"8080/tcp": {}, "9090/tcp": {}},
		StopSignal:   "SIGTERM",
	}
	return mutate.ConfigFile(image, config)
}

func layerOf(files []file) (v1.Layer, error) {
	content, err := archive(files)
	if err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	layer, err := tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, fmt.Errorf("making a layer: %w", err)
	}
	return layer, nil
}
