// Package devstack starts and stops the whole local stack: cognito-local, versitygw, the demo API, and the token handler's binary
// with a configuration for them. `make run` starts it on fixed ports, the integration tests on free ones.
//
// The package does not depend on the token handler's code. It uses its configuration file, its environment and /readyz, as an
// operator does.
package devstack
