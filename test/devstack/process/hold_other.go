//go:build !linux

package process

// hold returns a port that was free a moment ago.
func hold() (int, error) {
	listener, err := Listen(0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	return Port(listener)
}
