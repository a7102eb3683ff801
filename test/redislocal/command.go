package redislocal

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"

	"cognito-token-handler/test/devstack/process"
)

// Command has redis-cli send one command to the server and returns the answer. An error answer is no error here.
func (s *Server) Command(ctx context.Context, words ...string) (string, error) {
	args := []string{"-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "--raw"}
	if s.options.CertFile != "" {
		args = append(args, "--tls", "--insecure")
	}
	command := exec.CommandContext(ctx, "redis-cli", append(args, words...)...)
	if s.options.Password != "" {
		command.Env = append(process.Environment(), "REDISCLI_AUTH="+s.options.Password)
	}
	output, err := command.Output()
	return strings.TrimRight(string(output), "\n"), err
}

// order is Command for what is answered OK.
func (s *Server) order(ctx context.Context, words ...string) error {
	answer, err := s.Command(ctx, words...)
	if err == nil && answer != "OK" {
		err = errors.New(answer)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(words, " "), err)
	}
	return nil
}
