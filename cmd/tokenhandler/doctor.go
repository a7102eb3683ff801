package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"cognito-token-handler/cmd/doctor"
	"cognito-token-handler/config"
)

// exitError is the error of a command that has said everything itself.
type exitError int

// Error implements error.
func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageCode is the exit code of doctor for a wrong usage: 1 would mean warnings.
const usageCode = 2

func (c *command) doctorCommand() *cobra.Command {
	var asJSON, write bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Ask the provider, the upstreams, the store, AWS and the bucket whether the service will work",
		Long: `Doctor asks everything that the configuration names: the provider (DNS, TCP, TLS,
clock, issuer, keys), the client there (secret, callback and sign-out URLs, scopes,
and with AWS credentials its settings), every upstream, the store, AWS, the bucket,
and this machine. It prints one finding for each, with its cure, and never a secret.
It takes at most 45 seconds.

The exit code is 0 if everything is good, 1 with warnings, 2 with faults.`,
		Args: func(cmd *cobra.Command, args []string) error { return c.usage(cobra.NoArgs(cmd, args)) },
		RunE: func(cmd *cobra.Command, _ []string) error { return c.doctor(cmd, asJSON, write) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&write, "write", false, "also put a small object into the bucket, as a browser does, and delete it")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return c.usage(err) })
	cmd.AddCommand(c.sessionCommand())
	return cmd
}

func (c *command) sessionCommand() *cobra.Command {
	var id string
	cmd := &cobra.Command{
		Use: "session --request-id ID", Short: "Explain from the log, on standard input, why a request was refused",
		Long: `Session reads the service's log (log.format: json) from standard input and explains
why the request with this id ended as it did: its error code in words, what to do,
and what else the log says about its session and user.

The exit code is 0 if the request was found, 1 if the log does not have it, and 2 if
the log cannot be read.`,
		Example: "  journalctl -u tokenhandler -o cat | tokenhandler doctor session --request-id ID",
		Args:    func(cmd *cobra.Command, args []string) error { return c.usage(cobra.NoArgs(cmd, args)) },
		RunE:    func(cmd *cobra.Command, _ []string) error { return c.explainRequest(cmd.InOrStdin(), id) },
	}
	cmd.Flags().StringVar(&id, "request-id", "", "the id of the request, which is in its answer and in the header X-Request-Id")
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return c.usage(err) })
	return cmd
}

func (c *command) explainRequest(log io.Reader, id string) error {
	if id == "" {
		return c.usage(errors.New("--request-id is missing"))
	}
	found, err := doctor.ExplainRequest(log, c.stdout, id)
	if err != nil {
		return c.usage(err)
	}
	if !found {
		_, _ = fmt.Fprintf(c.stderr, "tokenhandler: the log has no request %q: it may be of another replica or day, or log.requests leaves it out\n", id)
		return exitError(1)
	}
	return nil
}

// usage reports a wrong usage, or input that cannot be used.
func (c *command) usage(err error) error {
	if err == nil {
		return nil
	}
	_, _ = fmt.Fprintln(c.stderr, "tokenhandler:", err)
	return exitError(usageCode)
}

func (c *command) doctor(cmd *cobra.Command, asJSON, write bool) error {
	report := doctor.NewReport(c.examine(cmd, write))
	output := report.WriteText
	if asJSON {
		output = report.WriteJSON
	}
	if err := output(c.stdout); err != nil {
		return err
	}
	if code := report.ExitCode(); code != 0 {
		return exitError(code)
	}
	return nil
}

func (c *command) examine(cmd *cobra.Command, write bool) []doctor.Finding {
	cfg, err := c.load(cmd)
	if faults, ok := errors.AsType[config.Faults](err); ok {
		return doctor.OfFaults(faults)
	}
	if err != nil {
		return doctor.OfError(err)
	}
	return doctor.Examine(cmd.Context(), doctor.Config{Service: cfg, Now: time.Now, ReadFile: os.ReadFile, Write: write})
}
