// Command run starts the local stack and runs it until Ctrl-C.
package main
