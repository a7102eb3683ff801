package config

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// expiresSoon is how long before its end a certificate is warned about.
const expiresSoon = 14 * 24 * time.Hour

// The keys of the certificate.
const (
	certFile = "tls.cert_file"
	keyFile  = "tls.key_file"
)

// ReadCertificate reads the certificate of the public listener and its key. The
// error is [Faults], with the key of the file that is wrong, and quotes nothing of
// the files. It does not say whether browsers accept the certificate: see
// [CertificateFaults].
func ReadCertificate(t TLS, readFile func(name string) ([]byte, error)) (*tls.Certificate, error) {
	chain, errChain := readFile(t.CertFile)
	key, errKey := readFile(t.KeyFile)
	var faults Faults
	refuse := func(name string, bad *invalid) {
		if bad != nil {
			faults = append(faults, Fault{Key: name, Problem: bad.problem, Fix: bad.fix})
		}
	}
	refuse(certFile, unreadable(errChain))
	refuse(keyFile, unreadable(errKey))
	if errChain == nil {
		refuse(certFile, checkChain(chain))
	}
	if errKey == nil {
		refuse(keyFile, checkKey(key))
	}
	if faults != nil {
		return nil, faults
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, Faults{{Key: keyFile, Problem: "does not belong to the first certificate in " + certFile, Fix: "write the key that the certificate was requested with; the server's certificate comes first, then the intermediate ones"}}
	}
	return &pair, nil
}

// checkChain checks that all certificates of a chain can be parsed.
func checkChain(chain []byte) *invalid {
	certificates, err := parseCertificates(chain)
	switch {
	case err != nil:
		return &invalid{"names a file with a certificate that cannot be parsed", "write the path of a PEM certificate chain"}
	case len(certificates) == 0:
		return &invalid{"names a file without a PEM certificate", "write the path of a PEM certificate chain"}
	}
	return nil
}

// parseCertificates returns the certificates of a PEM file.
func parseCertificates(content []byte) (certificates []*x509.Certificate, err error) {
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("parsing certificate: %w", err)
		}
		certificates = append(certificates, certificate)
	}
	return certificates, nil
}

// checkKey checks that a file has a private key that is not encrypted.
func checkKey(content []byte) *invalid {
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return &invalid{"names a file with a key that has a passphrase", "remove the passphrase: openssl pkey -in old -out new"}
		case bytes.HasSuffix([]byte(block.Type), []byte("PRIVATE KEY")):
			return nil
		}
	}
	return &invalid{"names a file without a PEM private key", "write the path of the certificate's key"}
}

// CertificateFaults returns why a browser would refuse a certificate for the host of
// u at the given time. Each is a sentence that begins with the certificate. It does
// not look at who issued it: the company may have an authority of its own.
func CertificateFaults(leaf *x509.Certificate, u *url.URL, now time.Time) (faults []string) {
	if now.Before(leaf.NotBefore) {
		faults = append(faults, "is not valid before "+leaf.NotBefore.UTC().Format(time.RFC3339))
	}
	if now.After(leaf.NotAfter) {
		faults = append(faults, expiredOn(leaf))
	}
	if leaf.VerifyHostname(u.Hostname()) != nil {
		faults = append(faults, "is for other names than "+u.Hostname()+", the host of public_url")
	}
	return faults
}

func expiredOn(leaf *x509.Certificate) string {
	return "expired on " + leaf.NotAfter.UTC().Format(time.RFC3339)
}

// checkCertificate checks the certificate of the public listener.
func (l *loader) checkCertificate(c *Config, m Machine) {
	if c.TLS.CertFile == "" || c.TLS.KeyFile == "" || !l.valid(certFile, keyFile) {
		return
	}
	pair, err := ReadCertificate(c.TLS, m.ReadFile)
	if faults, ok := errors.AsType[Faults](err); ok {
		for _, f := range faults {
			l.fault(f.Key, f.Problem, f.Fix)
		}
		return
	}
	now := m.Now()
	if now.After(pair.Leaf.NotAfter) { // then nobody accepts it
		l.fault(certFile, "names a certificate that "+expiredOn(pair.Leaf), "write a current one there")
		return
	}
	const fix = "replace it, unless only a proxy in front of the service sees it"
	if pair.Leaf.NotAfter.Sub(now) < expiresSoon {
		l.warn(certFile, "names a certificate that expires on "+pair.Leaf.NotAfter.UTC().Format(time.RFC3339), fix)
	}
	if c.PublicURL == nil {
		return
	}
	for _, fault := range CertificateFaults(pair.Leaf, c.PublicURL, now) {
		l.warn(certFile, "names a certificate that "+fault, fix)
	}
}

// ReadAuthorities reads the authorities that may have issued the certificate of an
// upstream. The error is [Faults].
func ReadAuthorities(name string, readFile func(name string) ([]byte, error)) (*x509.CertPool, error) {
	certificates, bad := readAuthorities(name, readFile)
	if bad != nil {
		return nil, Faults{{Key: authorities, Problem: bad.problem, Fix: bad.fix}}
	}
	pool := x509.NewCertPool()
	for _, certificate := range certificates {
		pool.AddCert(certificate)
	}
	return pool, nil
}

const authorities = "upstream_ca_file"

func readAuthorities(name string, readFile func(name string) ([]byte, error)) ([]*x509.Certificate, *invalid) {
	content, err := readFile(name)
	if err != nil {
		return nil, unreadable(err)
	}
	const fix = "write the path of a file with PEM certificates"
	certificates, err := parseCertificates(content)
	switch {
	case err != nil:
		return nil, &invalid{"names a file with a certificate that cannot be parsed", fix}
	case len(certificates) == 0:
		return nil, &invalid{"names a file without a PEM certificate", fix}
	}
	return certificates, nil
}

// checkAuthorities checks the authorities of the i-th route's upstream.
func (l *loader) checkAuthorities(i int, name string, m Machine) {
	if name == "" {
		return
	}
	certificates, bad := readAuthorities(name, m.ReadFile)
	if bad != nil {
		l.routeFault(i, authorities, bad.problem, bad.fix)
		return
	}
	for _, certificate := range certificates {
		if m.Now().Before(certificate.NotAfter) {
			return
		}
	}
	l.routeWarn(i, authorities, "names a file in which every certificate has expired", "replace it: no certificate of the upstream can be verified")
}
