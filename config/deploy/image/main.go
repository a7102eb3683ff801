package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run parses the arguments and writes the image.
func run(args []string, stderr io.Writer) error {
	var r release
	var created int64
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	flags.SetOutput(stderr)
	out := flags.String("out", "", "the directory to write, which is replaced")
	flags.StringVar(&r.version, "version", "dev", "the version of the service")
	flags.StringVar(&r.revision, "revision", "", "the commit that it was built from")
	flags.Int64Var(&created, "created", 0, "the time of the commit, in seconds since 1970")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r.created = time.Unix(created, 0).UTC()
	if *out == "" || flags.NArg() == 0 {
		return errors.New("give -out and at least one architecture=binary")
	}
	for _, arg := range flags.Args() {
		architecture, path, ok := strings.Cut(arg, "=")
		if !ok {
			return fmt.Errorf("%q is not architecture=binary", arg)
		}
		binary, err := os.ReadFile(path) //nolint:gosec // the builder's own path
		if err != nil {
			return fmt.Errorf("reading the binary: %w", err)
		}
		r.binaries = append(r.binaries, program{architecture, binary})
	}
	return r.write(*out)
}
