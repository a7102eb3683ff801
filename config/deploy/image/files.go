package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// file is a file of the image. All files belong to root.
type file struct {
	name    string
	mode    int64
	content []byte
}

// baseFiles returns the files beside the binary.
func baseFiles() ([]file, error) {
	authorities, err := certificateAuthorities()
	if err != nil {
		return nil, err
	}
	return []file{
		{"/etc/group", 0o644, []byte("root:x:0:\nnonroot:x:" + user + ":\n")},
		{"/etc/passwd", 0o644, []byte("root:x:0:0::/:/sbin/nologin\nnonroot:x:" + user + ":" + user + "::/:/sbin/nologin\n")},
		// One of the places where Go looks.
		{"/etc/ssl/certs/ca-certificates.crt", 0o644, authorities},
		{workDir + "/README", 0o644, []byte("Mount tokenhandler.yaml here, or set TH_ variables.\n")},
	}, nil
}

// certificateAuthorities returns the authorities that Mozilla trusts, in PEM. They come
// from a Go module with a fixed version, and not from the machine that builds. An
// authority that is trusted for some certificates only is left out, because PEM cannot
// say that.
func certificateAuthorities() ([]byte, error) {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}); err != nil {
			return nil, fmt.Errorf("writing the certificate authorities: %w", err)
		}
	}
	if text.Len() == 0 {
		return nil, errors.New("there are no certificate authorities")
	}
	return text.Bytes(), nil
}

// archive returns a tar archive of the files and their directories. Nothing in it depends
// on the time or the user.
func archive(files []file) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, dir := range directories(files) {
		if err := w.WriteHeader(header(dir+"/", tar.TypeDir, 0o755, 0)); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", dir, err)
		}
	}
	for _, f := range files {
		if err := w.WriteHeader(header(f.name, tar.TypeReg, f.mode, len(f.content))); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", f.name, err)
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, fmt.Errorf("archiving %s: %w", f.name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("archiving: %w", err)
	}
	return out.Bytes(), nil
}

func header(name string, kind byte, mode int64, size int) *tar.Header {
	return &tar.Header{
		Typeflag: kind, Name: strings.TrimPrefix(name, "/"), Mode: mode, Size: int64(size),
		ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR,
	}
}

// directories returns the directories of the files, each after its parent.
func directories(files []file) []string {
	found := map[string]bool{}
	for _, f := range files {
		for dir := path.Dir(f.name); dir != "/"; dir = path.Dir(dir) {
			found[dir] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}
