package app

import (
	"context"
	"sync"
	"time"
)

// unknownKeyPause is the shortest time between two readings of session.keys_file because
// of an unknown key. Clients can make up such keys.
const unknownKeyPause = time.Second

// unknownKeys reads session.keys_file at once when a request has a cookie whose key is
// not known here: if the key was added to all replicas' files a moment ago, another
// replica has loaded it before this one.
type unknownKeys struct {
	app  *App
	file *reloadedFile

	mu   sync.Mutex
	read time.Time // when the file was last read for this
}

// onUnknownKey reads the file unless that was done within [unknownKeyPause]. Requests
// with unknown keys wait for each other here, and so for the file.
func (u *unknownKeys) onUnknownKey() {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := u.app.now()
	if now.Sub(u.read).Abs() < unknownKeyPause {
		return
	}
	u.read = now
	_, _ = u.app.readFile(context.Background(), u.file) // it logs its error
}
