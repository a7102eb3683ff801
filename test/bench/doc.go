// Package bench measures the service.
//
// What one proxied API request costs: TestProxyAgainstABareOne compares the CPU time and the latency of
// the built binary with those of a bare reverse proxy. TestProxiedRequestAllocatesLittle in cmd/app counts the
// allocations of both.
//
// What the service holds: the memory of many open connections (TestMemoryOfOpenConnections), of transfers
// of gigabytes (TestTransferOfGigabytes), and what a long mixed load leaves behind (TestNothingGrows).
//
// The tests fail if a request fails or if too much memory is held. They assert no time, because times
// depend on the machine. README.md describes the methods and has the results.
package bench
