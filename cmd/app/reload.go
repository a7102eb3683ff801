package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"cognito-token-handler/config"
	"cognito-token-handler/tokenhandler/audit"
	"cognito-token-handler/tokenhandler/secret"
)

// reloadEvery is how often files are read again. Kubernetes changes a mounted secret by
// replacing a symbolic link, which a watch on the file itself would not report.
const reloadEvery = 10 * time.Second

// The labels of the files that are read again while the service runs.
const (
	fileKeys         = "session_keys"
	fileCertificate  = "certificate"
	fileClientSecret = "client_secret"
	fileAdminToken   = "admin_token"
	fileVerifySecret = "verify_secret"
	fileUpstreamCAs  = "upstream_ca"
	fileApp          = "spa_dir"
)

// reloadedFile is a file, or a pair of files, that is read again while the service runs.
type reloadedFile struct {
	// name is one of the labels above.
	name string
	// load reads the file, and uses its content if that has changed. After an error what
	// was in use stays in use. The error quotes nothing of the file.
	load func() (changed bool, err error)

	mu    sync.Mutex
	fault string // the last error of load, or ""
}

// Reload makes the service read its files of keys, secrets and certificates, and look at
// the directory of the app, now instead of within [reloadEvery]. It does not wait for that.
func (a *App) Reload() {
	select {
	case a.reloadAsked <- struct{}{}:
	default: // one is due already
	}
}

// OnReloaded sets a function that is called when the files were read because of [App.Reload].
// It must be called before [App.Run].
func (a *App) OnReloaded(notify func()) { a.reloaded = notify }

// reloadFiles reads the files again, every reloadEvery and when Reload was called, until
// ctx ends.
func (a *App) reloadFiles(ctx context.Context) {
	ticks := time.NewTicker(a.reloadEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			a.readAgain(ctx)
		case <-a.reloadAsked:
			changed, faulty := a.readAgain(ctx)
			a.log.InfoContext(ctx, "files read again on request", "files", len(a.files), "changed", changed, "faulty", faulty)
			a.reloaded()
		}
	}
}

// addFiles sets the files of keys and secrets that the configuration names. All were read
// at start.
func (a *App) addFiles() {
	cfg := a.cfg
	if cfg.Session.KeysFile != "" {
		keys := a.addFile(fileKeys, reloadSecrets(cfg.Session.KeysFile, cfg.Session.Keys, config.ParseKeys, a.replaceKeys))
		a.keys.OnUnknownKey((&unknownKeys{app: a, file: keys}).onUnknownKey)
	}
	if cfg.TLS.CertFile != "" {
		a.addFile(fileCertificate, func() (bool, error) { return a.certificate.reload() })
	}
	if file := cfg.Provider.ClientSecretFile; file != "" {
		a.addFile(fileClientSecret, reloadSecrets(file, cfg.Provider.ClientSecret, config.ParseClientSecrets, a.replaceClientSecrets))
	}
	inUse := newDistinct(&cfg)
	if file := cfg.Admin.TokenFile; file != "" {
		a.addFile(fileAdminToken, reloadSecrets(file, []secret.String{cfg.Admin.Token}, config.ParseAdminToken, a.replaceAdminToken(inUse, config.UnnamedOperator)))
	}
	for i := range cfg.Admin.Tokens {
		if token := cfg.Admin.Tokens[i]; token.TokenFile != "" {
			a.addFile(fileAdminToken+":"+token.Name, reloadSecrets(token.TokenFile, []secret.String{token.Token}, config.ParseAdminToken, a.replaceAdminToken(inUse, token.Name)))
		}
	}
	if file := cfg.Auth.VerifySecretFile; file != "" {
		a.addFile(fileVerifySecret, reloadSecrets(file, []secret.String{cfg.Auth.VerifySecret}, config.ParseVerifySecret, a.replaceVerifySecret(inUse)))
	}
}

func (a *App) addFile(name string, load func() (bool, error)) *reloadedFile {
	file := &reloadedFile{name: name, load: load}
	a.files = append(a.files, file)
	a.reloads.WithLabelValues(name).Set(1)
	return file
}

// readAgain reads all files. It returns the names of those that have changed and are in use
// now, and of those that cannot be used.
func (a *App) readAgain(ctx context.Context) (changed, faulty []string) {
	changed, faulty = []string{}, []string{} // [] in the log, and not null
	for _, file := range a.files {
		isNew, err := a.readFile(ctx, file)
		switch {
		case err != nil:
			faulty = append(faulty, file.name)
		case isNew:
			changed = append(changed, file.name)
		}
	}
	return changed, faulty
}

// readFile reads one file. A fault is logged once, not each time.
func (a *App) readFile(ctx context.Context, file *reloadedFile) (changed bool, err error) {
	file.mu.Lock()
	defer file.mu.Unlock()
	gauge := a.reloads.WithLabelValues(file.name)
	changed, err = file.load()
	if err != nil {
		gauge.Set(0)
		if text := err.Error(); text != file.fault {
			file.fault = text
			a.log.WarnContext(ctx, "file not reloaded, what was loaded before stays in use", "file", file.name, "error", text)
			a.trail.Note(ctx, audit.Event{Name: audit.KeysReloaded, Failed: true, Target: file.name})
		}
		return false, err
	}
	file.fault = ""
	gauge.Set(1)
	if changed {
		a.log.InfoContext(ctx, "file reloaded", "file", file.name)
		a.trail.Note(ctx, audit.Event{Name: audit.KeysReloaded, Target: file.name})
	}
	return changed, nil
}

// reloadSecrets returns the load function of a file of secrets. current are those that
// were loaded at start: the file may have changed since.
func reloadSecrets(path string, current []secret.String, parse func([]byte) ([]secret.String, error), use func([]secret.String) error) func() (bool, error) {
	return func() (bool, error) {
		content, err := os.ReadFile(path) //nolint:gosec // the operator's own path
		if err != nil {
			return false, fmt.Errorf("reading the file: %w", err)
		}
		secrets, err := parse(content)
		if err != nil {
			return false, err
		}
		if slices.EqualFunc(secrets, current, secret.String.Equal) {
			return false, nil
		}
		if err := use(secrets); err != nil {
			return false, err
		}
		current = secrets
		return true, nil
	}
}

// replaceKeys replaces the keyring's keys. After an error the keyring is unchanged.
func (a *App) replaceKeys(keys []secret.String) error {
	if err := a.keys.Replace(config.KeyBytes(keys)); err != nil {
		return fmt.Errorf("session.keys_file: %w", err)
	}
	a.store.CountKeys()
	a.showKeys()
	a.log.Info("session keys replaced", "sealing_key_id", a.keys.IDs()[0].String(), "keys", len(keys))
	return nil
}

func (a *App) replaceClientSecrets(secrets []secret.String) error {
	a.provider.ReplaceClientSecrets(secrets)
	return nil
}

// replaceAdminToken returns what replaces the token with this name.
func (a *App) replaceAdminToken(inUse distinct, name string) func([]secret.String) error {
	return func(tokens []secret.String) error {
		if err := inUse.replace(name, tokens[0]); err != nil {
			return err
		}
		a.operators.ReplaceToken(name, tokens[0])
		return nil
	}
}

// replaceVerifySecret returns what replaces the gateways' secret.
func (a *App) replaceVerifySecret(inUse distinct) func([]secret.String) error {
	return func(secrets []secret.String) error {
		if err := inUse.replace(gateways, secrets[0]); err != nil {
			return err
		}
		a.auth.ReplaceVerifySecret(secrets[0])
		return nil
	}
}

// gateways is the owner of auth.verify_secret. No admin token can have this name.
const gateways = ""

// errSameSecret is what config.Load refuses, too. It is no risk to tell whoever writes the
// files.
var errSameSecret = errors.New("the secret is in use for somebody else, too: make one of its own for everybody")

// distinct are the secrets of which no two may be the same, by their owner: with the same
// token, nobody would know which operator has revoked, and with the gateways' secret as a
// token, the gateway could revoke. Only the goroutine of [App.reloadFiles] uses it.
type distinct map[string]secret.String

func newDistinct(cfg *config.Config) distinct {
	d := distinct{config.UnnamedOperator: cfg.Admin.Token, gateways: cfg.Auth.VerifySecret}
	for i := range cfg.Admin.Tokens {
		d[cfg.Admin.Tokens[i].Name] = cfg.Admin.Tokens[i].Token
	}
	return d
}

// replace replaces the owner's secret, unless somebody else has the same.
func (d distinct) replace(owner string, value secret.String) error {
	for other, used := range d {
		if other != owner && used.Equal(value) {
			return errSameSecret
		}
	}
	d[owner] = value
	return nil
}
