// Package devstack starts and stops the whole local stack: cognito-local, versitygw, the demo API, and the token handler's binary
// with a configuration for them. `make run` starts it on fixed ports, the integration tests on free ones.
//
// It must not know how the token handler works: it speaks to it by its configuration file, its environment and /readyz, as an
// operator does.
package devstack
