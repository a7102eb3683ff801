// Package monitoring tests what config/monitoring ships: that every alert fires when it
// should, and that a real Prometheus has data for every panel of the dashboard and knows
// every metric and label that a panel or an alert names.
//
// It must not know how the metrics are made.
package monitoring
