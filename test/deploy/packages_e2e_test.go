//go:build e2e

package deploy_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/coreos/go-systemd/v22/unit"

	"cognito-token-handler/test/cognitotest"
)

const (
	unitFile = "/usr/lib/systemd/system/tokenhandler.service"
	// mostExposure is 1.1, in tenths: what is left of systemd's list is the network, unix
	// sockets, and the files of /proc that the unit explains.
	mostExposure = "11"
	credentials  = "/run/credentials/tokenhandler.service"
)

// debian returns the root file system of a Debian machine on which the package was
// installed.
func debian(t *testing.T) root {
	t.Helper()
	r := newRoot(t)
	r.write("/var/lib/dpkg/status", `Package: ca-certificates
Status: install ok installed
Maintainer: Debian
Architecture: all
Version: 1
Description: certificate authorities

`, 0o644)
	for _, dir := range []string{"info", "updates", "triggers"} {
		if err := os.MkdirAll(r.path("/var/lib/dpkg/"+dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.dpkg("-i", artifact(t, "packages/tokenhandler_*_"+runtime.GOARCH+".deb", "packages"))
	return r
}

// dpkg runs dpkg on the root file system. The package's scripts do not run in it, because
// it has no shell; they notice that it is not the machine's own.
func (r root) dpkg(args ...string) {
	r.t.Helper()
	fixed := []string{"--root=" + r.dir, "--force-script-chrootless", "--log=" + r.path("/dpkg.log")}
	succeed(r.t, exec.CommandContext(r.t.Context(), tool(r.t, "dpkg"), append(fixed, args...)...))
}

// TestTheDebianPackageRuns follows config/deploy/systemd/README.md: the package, the two
// secrets, the configuration, and then what systemd does with the unit.
func TestTheDebianPackageRuns(t *testing.T) {
	r := debian(t)
	r.run(0, nil, "/usr/bin/tokenhandler", "keygen", "--out", "/etc/tokenhandler/session_keys")
	r.write("/etc/tokenhandler/client_secret", cognitotest.DefaultSecret+"\n", 0o600)
	pool := cognitotest.New(t, cognitotest.Options{CallbackURLs: []string{"http://localhost:8080/auth/callback"}})
	r.write("/etc/tokenhandler/tokenhandler.yaml", configuration(pool), 0o644)
	u := readUnit(r)
	u.loadCredentials()
	if out := r.run(unprivileged, u.environ(), u.command("ExecStartPre")...); !strings.Contains(out, "The configuration is good.\n") {
		t.Errorf("check has warnings:\n%s", out)
	}
	r.serve(u.environ(), u.command("ExecStart")...)
}

// TestThePackagedConfigurationIsGood: the operator changes the values of the example, and
// needs no further keys.
func TestThePackagedConfigurationIsGood(t *testing.T) {
	r := debian(t)
	r.run(0, nil, "/usr/bin/tokenhandler", "keygen", "--out", "/etc/tokenhandler/session_keys")
	r.write("/etc/tokenhandler/client_secret", cognitotest.DefaultSecret+"\n", 0o600)
	u := readUnit(r)
	u.loadCredentials()
	if out := r.run(unprivileged, u.environ(), u.command("ExecStartPre")...); !strings.Contains(out, "The configuration is good.\n") {
		t.Errorf("check has warnings:\n%s", out)
	}
}

// TestThePackageHasWhatItsInstructionsCopy: the commands for nginx, Prometheus and Grafana
// name files of the package.
func TestThePackageHasWhatItsInstructionsCopy(t *testing.T) {
	r := debian(t)
	instructions := r.read(packagedDocs + "deploy/systemd/README.md")
	for _, file := range []string{"examples/front/nginx.conf", "monitoring/alerts.yaml", "monitoring/prometheus.yaml", "monitoring/dashboard.json", "monitoring/grafana.yaml", "monitoring/runbook.md", "deploy/doctor.md"} {
		if !strings.Contains(instructions, filepath.Base(file)) {
			t.Errorf("the instructions do not name %s", file)
		}
		r.read(packagedDocs + file)
	}
}

const packagedDocs = "/usr/share/doc/tokenhandler/config/"

// TestLinksOfThePackagedDocumentationLeadSomewhere: only what is about the repository leads
// out of the package.
func TestLinksOfThePackagedDocumentationLeadSomewhere(t *testing.T) {
	r := debian(t)
	links := regexp.MustCompile(`\]\(([^)#:\s]+)[^):]*\)`)
	pages := 0
	err := filepath.WalkDir(r.path(packagedDocs), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" {
			return err
		}
		pages++
		content, err := os.ReadFile(path)
		for _, link := range links.FindAllSubmatch(content, -1) {
			target := filepath.Join(filepath.Dir(path), string(link[1]))
			if _, err := os.Stat(target); err != nil && strings.HasPrefix(target, r.path(packagedDocs)) {
				t.Errorf("%s: %s is not in the package", strings.TrimPrefix(path, r.path(packagedDocs)), link[1])
			}
		}
		return err
	})
	if err != nil || pages < 10 {
		t.Errorf("%d pages, %v", pages, err)
	}
}

// TestTheDebianPackageIsRemoved: removing keeps the operator's files, and purging does not.
func TestTheDebianPackageIsRemoved(t *testing.T) {
	r := debian(t)
	r.write("/etc/tokenhandler/session_keys", "a key\n", 0o600)
	r.dpkg("--remove", "tokenhandler")
	if _, err := os.Stat(r.path(unitFile)); err == nil {
		t.Error("the unit is still there")
	}
	r.read("/etc/tokenhandler/session_keys")
	r.read("/etc/tokenhandler/tokenhandler.yaml")
	r.dpkg("--purge", "tokenhandler")
	if _, err := os.Stat(r.path("/etc/tokenhandler")); err == nil {
		t.Error("the configuration and the secrets are still there")
	}
}

// TestTheUnitIsHardened has systemd itself judge the unit as it was installed.
func TestTheUnitIsHardened(t *testing.T) {
	r := debian(t)
	analyze := tool(t, "systemd-analyze")
	r.write("/bin/sh", "", 0o755) // systemd looks whether the unit's programs exist
	units := filepath.Dir(unitFile)
	succeed(t, exec.CommandContext(t.Context(), "cp", "-an", units+"/.", r.path(units)))
	if out := succeed(t, exec.CommandContext(t.Context(), analyze, "verify", "--man=no", "--root="+r.dir, "tokenhandler.service")); strings.Contains(out, "tokenhandler") {
		t.Errorf("systemd-analyze verify:\n%s", out)
	}
	succeed(t, exec.CommandContext(t.Context(), analyze, "security", "--no-pager", "--offline=yes", "--threshold="+mostExposure, r.path(unitFile)))
}

// TestTheRPMIsInstalled: rpm accepts the package, and installs the same files.
func TestTheRPMIsInstalled(t *testing.T) {
	r := newRoot(t)
	file := artifact(t, "packages/tokenhandler-*."+rpmArchitecture()+".rpm", "packages")
	// Debian has no database of rpm, so ca-certificates is missing there.
	succeed(t, exec.CommandContext(t.Context(), tool(t, "rpm"), "--root="+r.dir, "--nodeps", "--noscripts", "--install", file))
	if out := r.run(unprivileged, nil, "/usr/bin/tokenhandler", "version"); !strings.HasPrefix(out, "tokenhandler ") {
		t.Errorf("version: %q", out)
	}
	deb := debian(t)
	for _, name := range []string{unitFile, "/etc/tokenhandler/tokenhandler.yaml"} {
		if r.read(name) != deb.read(name) {
			t.Errorf("%s differs from that of the Debian package", name)
		}
	}
	scripts := succeed(t, exec.CommandContext(t.Context(), tool(t, "rpm"), "-qp", "--scripts", file))
	for _, want := range []string{"try-restart tokenhandler.service", "disable --now tokenhandler.service", "daemon-reload"} {
		if !strings.Contains(scripts, want) {
			t.Errorf("the scripts lack %q:\n%s", want, scripts)
		}
	}
}

// installedUnit is the unit in a root file system.
type installedUnit struct {
	root

	options []*unit.UnitOption
}

func readUnit(r root) installedUnit {
	r.t.Helper()
	options, err := unit.DeserializeOptions(strings.NewReader(r.read(unitFile)))
	if err != nil {
		r.t.Fatal(err)
	}
	return installedUnit{r, options}
}

// values returns the values of an option, with the directory of the credentials for %d.
func (u installedUnit) values(name string) (values []string) {
	for _, option := range u.options {
		if option.Name == name {
			values = append(values, strings.ReplaceAll(option.Value, "%d", credentials))
		}
	}
	return values
}

func (u installedUnit) environ() []string { return u.values("Environment") }

func (u installedUnit) command(name string) []string {
	u.t.Helper()
	values := u.values(name)
	if len(values) != 1 {
		u.t.Fatalf("the unit has %d of %s", len(values), name)
	}
	return strings.Fields(values[0])
}

// loadCredentials copies the files for the service as systemd does: only the service's
// user can read them.
func (u installedUnit) loadCredentials() {
	t := u.t
	t.Helper()
	for _, value := range u.values("LoadCredential") {
		name, source, _ := strings.Cut(value, ":")
		if info, err := os.Stat(u.path(source)); err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v %v", source, info, err)
		}
		file := filepath.Join(credentials, name)
		u.write(file, u.read(source), 0o400)
		for _, path := range []string{credentials, file} {
			if err := os.Chown(u.path(path), unprivileged, unprivileged); err != nil {
				t.Fatal(err)
			}
		}
	}
}
