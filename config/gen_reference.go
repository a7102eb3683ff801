//go:build ignore

// Command gen_reference writes reference.md from the table of options.
package main

import (
	"log"
	"os"

	"cognito-token-handler/config"
)

func main() {
	if err := os.WriteFile("reference.md", []byte(config.Reference()), 0o644); err != nil {
		log.Fatal(err)
	}
}
