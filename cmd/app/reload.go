package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"time"

	"cognito-token-handler/config"
)

// reloadEvery is how often files are looked at. A change of a Kubernetes secret
// swaps a link, which no watch on the file itself would see.
const reloadEvery = 10 * time.Second

// reloadKeys takes up a changed session.keys_file. A bad one leaves the keys as
// they are.
func (a *App) reloadKeys(ctx context.Context) {
	path := a.cfg.Session.KeysFile
	if path == "" {
		return
	}
	gauge := a.reloads.WithLabelValues("session_keys")
	gauge.Set(1)
	last, _ := os.ReadFile(path) //nolint:gosec // the operator's own path
	ticks := time.NewTicker(reloadEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		content, err := os.ReadFile(path) //nolint:gosec // the operator's own path
		if err == nil && bytes.Equal(content, last) {
			continue
		}
		if err == nil {
			err = a.replaceKeys(content)
		}
		if err != nil {
			gauge.Set(0)
			a.log.WarnContext(ctx, "session keys not reloaded, the old ones stay", "error", err.Error())
			continue
		}
		last = content
		gauge.Set(1)
		a.log.InfoContext(ctx, "session keys reloaded", "sealing_key_id", a.keys.IDs()[0].String(), "keys", len(a.keys.IDs()))
	}
}

func (a *App) replaceKeys(content []byte) error {
	keys, err := config.ParseKeys(content)
	if err != nil {
		return fmt.Errorf("parsing session.keys_file: %w", err)
	}
	return a.keys.Replace(config.KeyBytes(keys)) //nolint:wrapcheck // says "building keyring"
}

// listenPublic opens the public listener, with TLS if it is configured.
func (a *App) listenPublic(ctx context.Context) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if a.cfg.TLS.CertFile == "" {
		return listener, nil
	}
	certificate := &certificate{app: a}
	if err := certificate.load(); err != nil {
		_ = listener.Close()
		return nil, err
	}
	return tls.NewListener(listener, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: certificate.get,
	}), nil
}

// certificate is reloaded when a handshake finds that its files may have
// changed. A bad pair never replaces a good one (STYLE 3b).
type certificate struct {
	app     *App
	current atomic.Pointer[tls.Certificate]
	checked atomic.Int64 // Unix seconds
}

func (c *certificate) load() error {
	pair, err := tls.LoadX509KeyPair(c.app.cfg.TLS.CertFile, c.app.cfg.TLS.KeyFile)
	if err != nil {
		return fmt.Errorf("tls.cert_file, tls.key_file: %w", err)
	}
	c.current.Store(&pair)
	c.app.reloads.WithLabelValues("certificate").Set(1)
	return nil
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	now, last := c.app.now().Unix(), c.checked.Load()
	if now-last >= int64(reloadEvery/time.Second) && c.checked.CompareAndSwap(last, now) {
		if err := c.load(); err != nil {
			c.app.reloads.WithLabelValues("certificate").Set(0)
			c.app.log.Warn("certificate not reloaded, the old one stays", "error", err.Error())
		}
	}
	return c.current.Load(), nil
}
