// Package bench measures the service.
//
// CPU time: TestProxyAgainstABareOne compares the CPU time and the latency of
// the built binary with those of a bare reverse proxy. TestProxiedRequestAllocatesLittle in cmd/app counts the
// allocations of both.
//
// Memory: TestMemoryOfOpenConnections measures the memory of many open connections, TestTransferOfGigabytes that of transfers of
// gigabytes, and TestNothingGrows looks for leaks after a long mixed load.
//
// The tests fail if a request fails or if the service uses too much memory. They assert no time, because times
// depend on the machine. README.md describes the methods and has the results.
package bench
