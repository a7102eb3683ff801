package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"cognito-token-handler/config"
)

// helpCommand returns the command "help": for a command as usual, and for "config" and a
// key of the configuration what the reference says about it, so that an operator needs no
// other page on a server.
func (c *command) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [command | config [KEY]]", Short: "Explain a command, or a key of the configuration",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: completeHelp,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 && args[0] == "config" {
				return c.explain(args[1:])
			}
			about, rest, err := cmd.Root().Find(args)
			if err == nil && len(rest) > 0 {
				err = fmt.Errorf("unknown command %q", strings.Join(rest, " "))
			}
			if err != nil {
				return err
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// explain prints all keys, or what each of the given keys means.
func (c *command) explain(keys []string) error {
	if len(keys) == 0 {
		keys = []string{""}
	}
	for i, key := range keys {
		text, err := config.Explain(key)
		if err != nil {
			return err
		}
		if i > 0 {
			text = "\n" + text
		}
		if _, err := io.WriteString(c.stdout, text); err != nil {
			return err
		}
	}
	return nil
}

// completeHelp completes "help config" with the keys.
func completeHelp(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && args[0] == "config" {
		keys, _ := config.Explain("")
		return strings.Fields(keys), cobra.ShellCompDirectiveNoFileComp
	}
	names := []string{"config"}
	for _, sub := range cmd.Root().Commands() {
		names = append(names, sub.Name())
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}
