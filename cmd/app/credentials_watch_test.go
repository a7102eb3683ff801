package app_test

import (
	"context"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/prometheus/client_golang/prometheus"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/test/testkit"
)

// TestCredentialsThatComeAndGo: the gauge follows each look, and the log has one line for
// each new state.
func TestCredentialsThatComeAndGo(t *testing.T) {
	var next error
	keys := aws.Credentials{AccessKeyID: "AKIATEST", SecretAccessKey: "s"}
	credentials := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		if next != nil {
			return aws.Credentials{}, next
		}
		return keys, nil
	})
	log, registry := &testkit.Log{}, prometheus.NewRegistry()
	look := app.CredentialsLook(credentials, log.Logger(), registry)
	refused := &smithy.GenericAPIError{Code: "AccessDenied", Message: "planted"}
	for i, c := range []struct {
		err   error
		up    float64
		lines int
	}{
		{nil, 1, 0}, {errors.New("none"), 0, 1}, {errors.New("none"), 0, 1}, {refused, 0, 2}, {refused, 0, 2}, {nil, 1, 2}, {refused, 0, 3},
	} {
		next = c.err
		look(t.Context())
		if up, err := gauge(registry); err != nil || up != c.up {
			t.Errorf("look %d: the gauge is %v, want %v (%v)", i, up, c.up, err)
		}
		if n := len(log.RecordsOf(t, "no AWS credentials for the bucket: uploads fail")); n != c.lines {
			t.Errorf("look %d: %d lines, want %d", i, n, c.lines)
		}
	}
	if log.Contains("planted") {
		t.Error("the log quotes AWS")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	next = nil
	look(ended) // the process ends: the error of the look says nothing
	if up, err := gauge(registry); err != nil || up != 0 {
		t.Errorf("the gauge is %v after the end (%v)", up, err)
	}
}

func gauge(registry *prometheus.Registry) (float64, error) {
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		return -1, errors.Join(err, errors.New("not one family"))
	}
	return families[0].GetMetric()[0].GetGauge().GetValue(), nil
}
