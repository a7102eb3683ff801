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

// The reasons why the store cannot be used. The texts of the server are never passed
// on, because they may contain the names of users and keys.
var (
	errNotConnected = errors.New("not connected yet")
	errTimeout      = errors.New("no answer in time")
	errUnreachable  = errors.New("the connection failed")
	errHandshake    = errors.New("the TLS handshake failed")
	errRefused      = errors.New("the server refused the operation")
	errAnswer       = errors.New("the server's answer is not understood")
	errReading      = errors.New("the deny list is being read")
	errTwoServers   = errors.New("two connections reach different servers")
)

// outageCodes returns the error codes with which a server refuses more than a single
// operation, and what they mean. A code is the first word of the server's error.
func outageCodes() map[string]error {
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
		"MOVED":       errors.New("the server is one of a cluster and does not have these keys"),
		"ASK":         errors.New("the server is one of a cluster and does not have these keys"),
		"TRYAGAIN":    errors.New("the server is one of a cluster and does not have these keys"),
	}
}

// reasonOf turns an error of the client into one of the errors above. Outage reports
// whether it concerns the store as a whole and not just this operation.
func reasonOf(err error) (reason error, outage bool) {
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
	case errors.Is(err, errCredentials):
		return errCredentials, true
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return errTimeout, true
	case errors.As(err, &unverified), errors.As(err, &alert), errors.As(err, &plain):
		return errHandshake, true
	}
	return errUnreachable, true
}

// refusal reads the error code of a server's error. Servers before version 7 wrap the
// errors of a script's commands; the code then stands after a dash.
func refusal(text string) (reason error, outage bool) {
	for code, reason := range outageCodes() {
		if strings.HasPrefix(text, code+" ") || strings.Contains(text, "-"+code+" ") {
			return reason, true
		}
	}
	return errRefused, false
}

// outcomeOf returns the name of a failure in the metrics.
func outcomeOf(reason error) string {
	switch {
	case errors.Is(reason, errTimeout):
		return "timeout"
	case errors.Is(reason, errUnreachable), errors.Is(reason, errHandshake):
		return "unreachable"
	}
	return "refused"
}
