package devstack

import (
	"context"
	"os"
	"strings"

	"cognito-token-handler/test/devstack/process"
)

// startHandler starts the token handler and waits until it is ready.
func (s *Stack) startHandler(ctx context.Context) error {
	handler, err := process.Start(process.Spec{
		Name: "tokenhandler", Path: s.binary, Args: []string{"serve", "--config", s.configFile()}, Dir: s.dir,
		Log: process.Prefix(s.log, "tokenhandler"),
		Env: process.Environment(
			"AWS_ACCESS_KEY_ID="+s.S3.AccessKey, "AWS_SECRET_ACCESS_KEY="+s.S3.SecretKey,
			// The developer's own AWS settings must not be used.
			"AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
		),
	})
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.handlers = append(s.handlers, handler)
	s.mu.Unlock()
	return handler.AwaitOK(ctx, s.AdminURL+"/readyz")
}

// handler returns the token handler that was started last, or nil.
func (s *Stack) handler() *process.Process {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.handlers) == 0 {
		return nil
	}
	return s.handlers[len(s.handlers)-1]
}

// RestartHandler stops the token handler as an operator would, starts it again with the same configuration and keys, and returns
// when it is ready. It must not be called while Wait runs.
func (s *Stack) RestartHandler(ctx context.Context) error {
	s.handler().Stop(drainTime)
	return s.startHandler(ctx)
}

// HandlerLog returns everything that the token handler has written, restarts included.
func (s *Stack) HandlerLog() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all strings.Builder
	for _, handler := range s.handlers {
		all.WriteString(handler.Output())
	}
	return all.String()
}
