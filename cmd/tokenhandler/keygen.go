package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"cognito-token-handler/cmd/doctor"
	"cognito-token-handler/tokenhandler/seal"
)

// keyMode is the mode of a key file: whoever reads it can make cookies.
const keyMode = 0o600

func (c *command) keygenCommand() *cobra.Command {
	var out, ids string
	keygen := &cobra.Command{
		Use: "keygen", Short: "Print a new session key, or write it to a new file", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("ids") {
				return c.printKeyIDs(ids)
			}
			return c.keygen(out)
		},
	}
	keygen.Flags().StringVar(&out, "out", "", "the file to create, with the mode 0600")
	keygen.Flags().StringVar(&ids, "ids", "", "make no key, but print the line and the id of each key in this file; metrics show the ids")
	keygen.MarkFlagsMutuallyExclusive("out", "ids")
	return keygen
}

// printKeyIDs prints the line and the id of each key in a file, never a key. The metric
// tokenhandler_session_opens_by_key_total has the ids of the keys that a replica knows.
func (c *command) printKeyIDs(name string) error {
	content, err := readFile(name)
	if err != nil {
		return fmt.Errorf("reading the keys (--ids): %w", err)
	}
	keys, err := doctor.KeysIn(content)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, key := range keys {
		_, _ = fmt.Fprintln(c.stdout, key)
	}
	return nil
}

// keygen writes a new key to a new file, or to standard output if there is no name.
func (c *command) keygen(out string) error {
	raw := make([]byte, seal.KeySize)
	_, _ = rand.Read(raw) // never fails (Go 1.24)
	key := base64.StdEncoding.EncodeToString(raw) + "\n"
	if out != "" {
		return createKeyFile(out, key)
	}
	if mode, exposed := isExposed(c.stdout); exposed {
		_, _ = fmt.Fprintf(c.stderr, "tokenhandler: the key was written to a file with the mode %04o, which other users can read: chmod 600, or use --out\n", mode)
	}
	_, err := io.WriteString(c.stdout, key)
	return err
}

// createKeyFile never replaces a file: the keys in it would be lost, and with them
// all sessions.
func createKeyFile(name, key string) error {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, keyMode) //nolint:gosec // the operator's own path
	if err != nil {
		return fmt.Errorf("creating a key file: %w", err)
	}
	_, err = file.WriteString(key)
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("writing a key file: %w", err)
	}
	return nil
}

// isExposed reports whether w is a regular file that more than its owner can read.
func isExposed(w io.Writer) (mode os.FileMode, exposed bool) {
	file, ok := w.(*os.File)
	if !ok {
		return 0, false
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	return info.Mode().Perm(), info.Mode().Perm()&0o044 != 0
}
