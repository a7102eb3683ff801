// Command tokenhandler is the service: a token handler for single-page apps on
// Amazon Cognito. It owns the command line and nothing else; package app owns
// the service, package config the configuration.
package main
