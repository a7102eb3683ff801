package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"cognito-token-handler/cmd/app"
	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/web"
)

// version is set by the build (-ldflags -X).
var version = "dev"

// command holds what all subcommands use.
type command struct {
	environ    []string
	hangups    <-chan os.Signal // SIGHUP: read the files of keys, secrets and certificates again
	stdout     io.Writer
	stderr     *web.LogQueue
	records    io.Writer // standard error without the queue
	configFile string
}

// lastRecordsTime is how long the end of the program waits for the reader of standard
// error. With the rest of a shutdown that is 28 seconds.
const lastRecordsTime = time.Second

// run runs the program and returns its exit code: 0 for success, 1 for a failure or a wrong
// usage, and 2 for an invalid configuration. The command doctor has codes of its own.
func run(ctx context.Context, args, environ []string, hangups <-chan os.Signal, stdout, stderr io.Writer) int {
	records := &oneByOne{w: stderr}
	c := &command{environ: environ, hangups: hangups, stdout: stdout, stderr: web.NewLogQueue(records), records: records}
	defer c.flush()  //nolint:contextcheck // at the end ctx is over
	root := c.root() //nolint:contextcheck // ExecuteContext gives the commands ctx
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(c.stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if code, ok := errors.AsType[exitError](err); ok {
		return int(code)
	}
	if faults, ok := errors.AsType[config.Faults](err); ok {
		_, _ = fmt.Fprintf(c.stderr, "%s: %d fault(s) in the configuration:\n%s\n", "tokenhandler", len(faults), faults.Error())
		return 2
	}
	_, _ = fmt.Fprintln(c.stderr, "tokenhandler:", err)
	return 1
}

// flush writes what is still queued for standard error, unless its reader stalls.
func (c *command) flush() {
	ctx, cancel := context.WithTimeout(context.Background(), lastRecordsTime)
	defer cancel()
	c.stderr.Flush(ctx)
}

const (
	serveHelp = `Serve runs the service until SIGTERM or SIGINT. On SIGHUP it reads its files of
keys, secrets and certificates again.

The exit code is 0 after a signal, 1 if the service fails or is called wrongly, and
2 if the configuration has faults.`

	checkHelp = `Check says everything that is wrong with the configuration and with the files that it
names, each with its cure. It uses no network.

The exit code is 0 if the configuration is good, also with warnings, 1 if it cannot
be checked or the command is called wrongly, and 2 if it has faults.`
)

func (c *command) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "tokenhandler",
		Short:         "A token handler for single-page apps on Amazon Cognito",
		Long:          "A token handler for single-page apps on Amazon Cognito. Without a command it serves.\n\n" + serveHelp,
		Version:       buildVersion(),
		Args:          cobra.NoArgs,
		RunE:          c.serve,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("tokenhandler {{.Version}}\n") // as the command version prints it
	root.SetHelpCommand(c.helpCommand())
	root.PersistentFlags().StringVar(&c.configFile, "config", "tokenhandler.yaml", "the configuration file")
	root.AddCommand(
		&cobra.Command{Use: "serve", Short: "Run the service (the default)", Long: serveHelp, Args: cobra.NoArgs, RunE: c.serve},
		&cobra.Command{Use: "check", Short: "Check the configuration; print what to register at the provider", Long: checkHelp, Args: cobra.NoArgs, RunE: c.check},
		c.doctorCommand(),
		c.keygenCommand(),
		&cobra.Command{Use: "version", Short: "Print the version", Args: cobra.NoArgs, RunE: c.version},
	)
	return root
}

// maxConfig bounds what is read of a file. It is above the limit of config.Load, which
// then reports a file that is too large.
const maxConfig = 2 << 20

// load reads the configuration file and the environment. A missing file is an error,
// unless --config was not given and the environment has a variable TH_….
func (c *command) load(cmd *cobra.Command) (config.Config, error) {
	content, err := readFile(c.configFile)
	if errors.Is(err, os.ErrNotExist) && !cmd.Flags().Changed("config") && config.IsSetBy(c.environ) {
		content, err = nil, nil
	}
	if err != nil {
		return config.Config{}, fmt.Errorf("reading the configuration (--config): %w", err)
	}
	return config.Load(content, c.configFile, c.environ, machine(cmd.Context(), c.environ))
}

func readFile(name string) ([]byte, error) {
	file, err := os.Open(name) //nolint:gosec // the operator's own path
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return io.ReadAll(io.LimitReader(file, maxConfig)) //nolint:forbidigo // bounded here
}

func (c *command) serve(cmd *cobra.Command, _ []string) error {
	cfg, err := c.load(cmd)
	if err != nil {
		return err
	}
	log := newLogger(cfg.Log, c.stderr)
	c.stderr.OnResume(func(dropped uint64) {
		log.Warn("log records were dropped: the reader of the log stalled or was gone", "so_far", dropped)
	})
	surviveBrokenPipes()
	withholdStandardLog(log)
	limit, gogc, err := tuneMemory(c.environ)
	log.Info("starting", "version", buildVersion(), "memory_limit", limitText(limit), "gogc", gogc)
	if err != nil {
		log.Warn("no memory limit was set", "error", err.Error())
	}
	service, err := app.New(cmd.Context(), cfg, log)
	if err != nil {
		return err
	}
	service.CountDroppedRecords(c.stderr.Dropped)
	service.NoteVersion(buildVersion())
	service.AuditTo(c.records) // its own queue notices when the reader stalls or is gone
	service.OnReloaded(func() { notify(cmd.Context(), log, daemon.SdNotifyReady) })
	defer notifyStopping(cmd.Context(), log)()
	return service.Run(cmd.Context(), func(at app.Addresses) {
		notifyStarted(cmd.Context(), log, at)
		go c.reloadOnHangup(cmd.Context(), log, service)
	})
}

// reloadOnHangup makes the service read its files again at each SIGHUP, those before the
// start included, and tells systemd about it.
func (c *command) reloadOnHangup(ctx context.Context, log *slog.Logger, service *app.App) {
	for range c.hangups {
		notify(ctx, log, daemon.SdNotifyReloading+"\n"+daemon.SdNotifyMonotonicUsec())
		service.Reload()
	}
}

func newLogger(cfg config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // checked by config.Load
	if cfg.Format == "text" {
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
	}
	return slog.New(web.NewJSONHandler(w, level))
}

func (c *command) version(*cobra.Command, []string) error {
	_, err := fmt.Fprintln(c.stdout, "tokenhandler", buildVersion())
	return err
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "dev" && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return version
}
