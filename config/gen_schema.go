//go:build ignore

// Command gen_schema writes the part of the Helm chart's values.schema.json that
// describes the configuration, from the table of options.
package main

import (
	"log"
	"os"

	"cognito-token-handler/config"
)

const file = "deploy/helm/tokenhandler/values.schema.json"

func main() {
	current, err := os.ReadFile(file)
	if err != nil {
		log.Fatal(err)
	}
	updated, err := config.UpdateValuesSchema(current)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.WriteFile(file, updated, 0o644); err != nil {
		log.Fatal(err)
	}
}
