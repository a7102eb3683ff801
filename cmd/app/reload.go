package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// reloadEvery is how often files are read again. Kubernetes changes a mounted secret by
// replacing a symbolic link, which a watch on the file itself would not report.
const reloadEvery = 10 * time.Second

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
