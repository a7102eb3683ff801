package app

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/secret"
)

// keyFile is session.keys_file. It is read every reloadEvery. It is also read at once
// when a request has a cookie whose key is not known here: if the key was added to all
// replicas' files a moment ago, another replica has loaded it before this one.
type keyFile struct {
	app *App

	mu sync.Mutex
	// current are the keys in use. At first they are those of the configuration: the
	// file may have changed since.
	current []secret.String
	// read is when the file was last read.
	read time.Time
}

// unknownKeyPause is the shortest time between two readings of the file because of an
// unknown key. Clients can make up such keys.
const unknownKeyPause = time.Second

// newKeyFile returns the file, or nil if the keys are part of the configuration.
func (a *App) newKeyFile() *keyFile {
	if a.cfg.Session.KeysFile == "" {
		return nil
	}
	f := &keyFile{app: a, current: a.cfg.Session.Keys}
	a.keys.OnUnknownKey(f.onUnknownKey)
	a.reloads.WithLabelValues("session_keys").Set(1)
	return f
}

// run loads the file whenever its content changes, until ctx ends.
func (f *keyFile) run(ctx context.Context) {
	if f == nil {
		return
	}
	ticks := time.NewTicker(f.app.reloadEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			f.mu.Lock()
			f.load()
			f.mu.Unlock()
		}
	}
}

// onUnknownKey reads the file unless that was done within [unknownKeyPause]. Requests
// with unknown keys wait for each other here, and so for the file.
func (f *keyFile) onUnknownKey() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.app.now().Sub(f.read).Abs() >= unknownKeyPause {
		f.load()
	}
}

// load replaces the keyring's keys by those of the file if they are others. A file with
// a fault leaves the keys as they are. The caller holds mu.
func (f *keyFile) load() {
	f.read = f.app.now()
	gauge := f.app.reloads.WithLabelValues("session_keys")
	changed, err := f.change()
	if err != nil {
		gauge.Set(0)
		f.app.log.Warn("session keys not reloaded, the old ones stay", "error", err.Error())
		return
	}
	gauge.Set(1)
	if changed {
		f.app.log.Info("session keys reloaded", "sealing_key_id", f.app.keys.IDs()[0].String(), "keys", len(f.current))
	}
}

// change does the work of load. After an error nothing has changed.
func (f *keyFile) change() (changed bool, err error) {
	content, err := os.ReadFile(f.app.cfg.Session.KeysFile)
	if err != nil {
		return false, fmt.Errorf("reading session.keys_file: %w", err)
	}
	keys, err := config.ParseKeys(content)
	if err != nil {
		return false, err
	}
	if slices.EqualFunc(keys, f.current, secret.String.Equal) {
		return false, nil
	}
	if err := f.app.keys.Replace(config.KeyBytes(keys)); err != nil {
		return false, fmt.Errorf("session.keys_file: %w", err)
	}
	f.current = keys
	return true, nil
}
