package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"cognito-token-handler/config"
)

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
	a.certificate = &certificate{files: a.cfg.TLS, publicURL: a.cfg.PublicURL, now: a.now, expiry: a.certificateExpiry}
	if err := a.certificate.load(); err != nil {
		_ = listener.Close()
		return nil, err
	}
	return tls.NewListener(listener, &tls.Config{
		MinVersion:     tls.VersionTLS12,
		NextProtos:     []string{"h2", "http/1.1"},
		GetCertificate: a.certificate.get,
	}), nil
}

// certificate is the listener's certificate.
type certificate struct {
	files     config.TLS
	publicURL *url.URL
	now       func() time.Time
	expiry    *prometheus.GaugeVec
	current   atomic.Pointer[tls.Certificate]
}

// load reads the pair at start, after [config.Load] has checked it.
func (c *certificate) load() error {
	pair, err := config.ReadCertificate(c.files, os.ReadFile)
	if err != nil {
		return err
	}
	c.use(pair)
	return nil
}

// reload reads the pair again. A pair that cannot be used, or that browsers would refuse,
// does not replace one that they accept. It returns an error also if the pair in use has
// expired and there is no other one.
func (c *certificate) reload() (changed bool, err error) {
	pair, err := config.ReadCertificate(c.files, os.ReadFile)
	if err != nil {
		return false, err
	}
	current := c.current.Load()
	if slices.EqualFunc(pair.Certificate, current.Certificate, slices.Equal[[]byte]) {
		if c.now().After(current.Leaf.NotAfter) {
			return false, errors.New("tls.cert_file: the certificate " + c.faults(current)[0])
		}
		return false, nil
	}
	if faults := c.faults(pair); len(faults) > 0 && len(c.faults(current)) == 0 {
		return false, errors.New("tls.cert_file: the certificate " + strings.Join(faults, ", and "))
	}
	c.use(pair)
	return true, nil
}

func (c *certificate) faults(pair *tls.Certificate) []string {
	return config.CertificateFaults(pair.Leaf, c.publicURL, c.now())
}

func (c *certificate) use(pair *tls.Certificate) {
	c.expiry.WithLabelValues().Set(float64(pair.Leaf.NotAfter.Unix()))
	c.current.Store(pair)
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// newCertificateExpiry returns the metric of the certificate's end. It has no series
// before a certificate is loaded.
func newCertificateExpiry(reg prometheus.Registerer) *prometheus.GaugeVec {
	return promauto.With(reg).NewGaugeVec(prometheus.GaugeOpts{
		Name: "tokenhandler_certificate_expiry_timestamp_seconds",
		Help: "End of the certificate that the public listener uses, as Unix time. It is absent without tls.cert_file.",
	}, nil)
}
