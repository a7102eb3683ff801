// Command tokenhandler is the service: a token handler for single-page apps on
// Amazon Cognito. This package only parses the command line. Package app builds the
// service, and package config reads the configuration.
package main
