package valkey

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"strings"

	"github.com/valkey-io/valkey-go"
)

// Why the store cannot be used. What a server writes is never passed on: it may
// name users and keys.
var (
	errNotConnected = errors.New("not connected yet")
	errTimeout      = errors.New("no answer in time")
	errUnreachable  = errors.New("the connection failed")
	errHandshake    = errors.New("the TLS handshake failed")
	errRefused      = errors.New("the server refused the operation")
	errAnswer       = errors.New("the server's answer is not understood")
	errReading      = errors.New("the deny list is being read")
)

// codes are the errors of a server that say that it is out as a whole, by the
// word that they begin with.
func codes() map[string]error {
	return map[string]error{
		"OOM":         errors.New("the server is full"),
		"LOADING":     errors.New("the server is loading its data"),
		"READONLY":    errors.New("the server is a read-only replica"),
		"MASTERDOWN":  errors.New("the server is a replica without its primary"),
		"NOREPLICAS":  errors.New("the server has too few replicas to take writes"),
		"MISCONF":     errors.New("the server cannot save its data and takes no writes"),
		"NOAUTH":      errors.New("the server wants a password"),
		"WRONGPASS":   errors.New("the server does not take the user and password"),
		"NOPERM":      errors.New("the user lacks a permission on the server"),
		"BUSY":        errors.New("the server is busy with a script"),
		"UNKILLABLE":  errors.New("the server is busy with a script"),
		"CLUSTERDOWN": errors.New("the cluster is down"),
		"MOVED":       errors.New("the server is one of a cluster and has not these keys"),
		"ASK":         errors.New("the server is one of a cluster and has not these keys"),
		"TRYAGAIN":    errors.New("the server is one of a cluster and has not these keys"),
	}
}

// reason turns a failure into one of the errors above. Whole says that it
// concerns the store and not this one operation.
func reason(err error) (why error, whole bool) {
	if refused, ok := errors.AsType[*valkey.ValkeyError](err); ok {
		return refusal(refused.Error())
	}
	if errors.Is(err, errAnswer) || valkey.IsParseErr(err) {
		return errAnswer, false
	}
	var timeout net.Error
	var unverified *tls.CertificateVerificationError
	var alert tls.AlertError
	var plain tls.RecordHeaderError
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return errTimeout, true
	case errors.As(err, &unverified), errors.As(err, &alert), errors.As(err, &plain):
		return errHandshake, true
	}
	return errUnreachable, true
}

// refusal tells by the first word; servers before version 7 wrap the errors of
// a script's commands, which then stand after a dash.
func refusal(text string) (why error, whole bool) {
	for code, why := range codes() {
		if strings.HasPrefix(text, code+" ") || strings.Contains(text, "-"+code+" ") {
			return why, true
		}
	}
	return errRefused, false
}

// outcome names a failure in the metrics.
func outcome(why error) string {
	switch {
	case errors.Is(why, errTimeout):
		return "timeout"
	case errors.Is(why, errUnreachable), errors.Is(why, errHandshake):
		return "unreachable"
	}
	return "refused"
}
