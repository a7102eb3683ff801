package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/secret"
)

// reloadEvery is how often files are read again. Kubernetes changes a mounted secret by
// replacing a symbolic link, which a watch on the file itself would not report.
const reloadEvery = 10 * time.Second

// reloadKeys loads session.keys_file whenever its content changes, until ctx ends. A
// file with a fault leaves the keys as they are.
func (a *App) reloadKeys(ctx context.Context) {
	if a.cfg.Session.KeysFile == "" {
		return
	}
	gauge := a.reloads.WithLabelValues("session_keys")
	gauge.Set(1)
	// The keys that were loaded at start. The file may have changed since.
	current := a.cfg.Session.Keys
	ticks := time.NewTicker(a.reloadEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		keys, err := a.changedKeys(current)
		if err != nil {
			gauge.Set(0)
			a.log.WarnContext(ctx, "session keys not reloaded, the old ones stay", "error", err.Error())
			continue
		}
		gauge.Set(1)
		if keys != nil {
			current = keys
			a.log.InfoContext(ctx, "session keys reloaded", "sealing_key_id", a.keys.IDs()[0].String(), "keys", len(keys))
		}
	}
}

// changedKeys replaces the keyring's keys by those of the file and returns them, or
// returns nil if they are the current ones. After an error the keyring is unchanged.
func (a *App) changedKeys(current []secret.String) ([]secret.String, error) {
	content, err := os.ReadFile(a.cfg.Session.KeysFile)
	if err != nil {
		return nil, fmt.Errorf("reading session.keys_file: %w", err)
	}
	keys, err := config.ParseKeys(content)
	if err != nil {
		return nil, err
	}
	if slices.EqualFunc(keys, current, secret.String.Equal) {
		return nil, nil
	}
	if err := a.keys.Replace(config.KeyBytes(keys)); err != nil {
		return nil, fmt.Errorf("session.keys_file: %w", err)
	}
	return keys, nil
}

// listenPublic opens the public listener, with TLS if it is configured.
func (a *App) listenPublic(ctx context.Context) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", a.cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	a.listener = &drainingListener{Listener: listener}
	listener = a.listener
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

// certificate is the listener's certificate. A handshake reads its files again if that
// was last done more than reloadEvery ago. A pair that cannot be used does not replace
// the current one.
type certificate struct {
	app     *App
	current atomic.Pointer[tls.Certificate]
	checked atomic.Int64 // Unix nanoseconds
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
	now, last := c.app.now().UnixNano(), c.checked.Load()
	if now-last >= int64(c.app.reloadEvery) && c.checked.CompareAndSwap(last, now) {
		if err := c.load(); err != nil {
			c.app.reloads.WithLabelValues("certificate").Set(0)
			c.app.log.Warn("certificate not reloaded, the old one stays", "error", err.Error())
		}
	}
	return c.current.Load(), nil
}
