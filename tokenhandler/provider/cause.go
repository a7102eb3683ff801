package provider

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
)

// Cause is why a server was not reached. It is from a fixed list, so it may be logged
// and be the label of a metric; the texts of errors may quote what a server sent.
type Cause string

// The causes.
const (
	CauseDNS              Cause = "dns"     // the name was not resolved
	CauseRefused          Cause = "refused" // nothing listens at the port
	CauseTimeout          Cause = "timeout"
	CauseReset            Cause = "reset"                 // the connection broke off
	CauseUnknownAuthority Cause = "tls_unknown_authority" // of the server's certificate
	CauseExpired          Cause = "tls_expired"           // the certificate, or not yet valid
	CauseName             Cause = "tls_name"              // the certificate is for other names
	CauseTLS              Cause = "tls_other"
	CauseOther            Cause = "other"
)

// Causes returns all causes.
func Causes() []Cause {
	return []Cause{CauseDNS, CauseRefused, CauseTimeout, CauseReset, CauseUnknownAuthority, CauseExpired, CauseName, CauseTLS, CauseOther}
}

// CauseOf returns why a call failed that has got no answer.
func CauseOf(err error) Cause {
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return CauseDNS
	}
	if cause := causeOfTLS(err); cause != "" {
		return cause
	}
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return CauseRefused
	case isTimeout(err):
		return CauseTimeout
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), isClosedBeforeRequest(err):
		return CauseReset
	}
	return CauseOther
}

// isClosedBeforeRequest reports whether the server closed the connection before the
// request was written. net/http exports no name for this error, so its fixed text is
// compared.
func isClosedBeforeRequest(err error) bool {
	failed, ok := errors.AsType[*url.Error](err)
	return ok && failed.Err.Error() == "http: server closed idle connection"
}

func isTimeout(err error) bool {
	failed, ok := errors.AsType[net.Error](err)
	return ok && failed.Timeout() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT)
}

// causeOfTLS returns "" for an error that does not come from TLS.
func causeOfTLS(err error) Cause {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return CauseUnknownAuthority
	}
	if _, ok := errors.AsType[x509.SystemRootsError](err); ok {
		return CauseUnknownAuthority
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return CauseName
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return CauseExpired
	}
	if isTLS(err) {
		return CauseTLS
	}
	return ""
}

// isTLS reports whether an error comes from TLS. crypto/tls wraps the alerts of the
// other side in an error of the operation "remote error".
func isTLS(err error) bool {
	_, unverified := errors.AsType[*tls.CertificateVerificationError](err)
	_, plain := errors.AsType[tls.RecordHeaderError](err)
	_, invalid := errors.AsType[x509.CertificateInvalidError](err)
	operation, ok := errors.AsType[*net.OpError](err)
	return errors.Is(err, http.ErrSchemeMismatch) || unverified || plain || invalid || ok && (operation.Op == "remote error" || operation.Op == "local error")
}
