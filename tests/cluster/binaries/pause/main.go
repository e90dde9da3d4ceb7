// Pause does nothing: it holds the namespaces that a pod's containers share, until it is told to end.
package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// As a pod's first process it inherits orphans; ignoring SIGCHLD lets the kernel reap them.
	signal.Ignore(syscall.SIGCHLD)
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGINT, syscall.SIGTERM)
	<-ended
}
