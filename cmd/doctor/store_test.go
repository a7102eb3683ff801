package doctor_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"cognito-token-handler/cmd/doctor"
	"cognito-token-handler/tokenhandler/replicas/valkey"
)

func TestStoreThatIsNotReached(t *testing.T) {
	for name, store := range map[string]string{"refused": "redis://user:planted-secret@" + free(t), "no TLS": "redis://:planted-secret@" + silent(t)} {
		r := setup{session: ", store: \"" + strings.Replace(store, "redis", "rediss", 1) + "\"", call: time.Second}.examine(t)
		want(t, r, doctor.AreaStore, doctor.Fault, "session.store cannot be used: connecting to the shared store: ", "rediss://")
		if t.Failed() {
			t.Log(name)
		}
	}
}

// TestStores checks what is said of servers with each setting.
func TestStores(t *testing.T) {
	for _, tt := range []struct {
		name  string
		found valkey.Examination
		level doctor.Level
		what  string
		cure  string
	}{
		{"good", valkey.Examination{Nodes: []valkey.Node{{Address: "a:1", Server: "Valkey", Version: "8.1.0", Policy: "noeviction"}}}, doctor.Good, "a:1 is Valkey 8.1.0", ""},
		{"policy", valkey.Examination{Nodes: []valkey.Node{{Address: "a:1", Server: "Redis", Version: "7.2.4", Policy: "allkeys-lru", MaxMemory: "1000"}}}, doctor.Warning, "is allkeys-lru: it may drop leases and revocations.", "noeviction"},
		{"no limit", valkey.Examination{Nodes: []valkey.Node{{Address: "a:1", Server: "Redis", Version: "7.2.4", Policy: "volatile-ttl", MaxMemory: "0"}}}, doctor.Warning, "though not as long as maxmemory is 0", "noeviction"},
		{"policy not told", valkey.Examination{Nodes: []valkey.Node{{Address: "a:1", Server: "Redis", Version: "7.2.4"}}}, doctor.Warning, "is not known", "noeviction"},
		{"old", valkey.Examination{Nodes: []valkey.Node{{Address: "a:1", Server: "Redis", Version: "5.0.14", Policy: "noeviction"}}}, doctor.Fault, "Redis 5.0.14", "version 6"},
		{"two digits", valkey.Examination{Nodes: []valkey.Node{{Address: "a:1", Server: "Redis", Version: "10.0.1", Policy: "noeviction"}}}, doctor.Good, "Redis 10.0.1", ""},
		{"denied", valkey.Examination{Nodes: []valkey.Node{{Address: "a:1", Err: errors.New("the user lacks a permission on the server")}}}, doctor.Warning, "cannot be read: the user lacks", "+info"},
		{"read-only", valkey.Examination{Write: errors.New("the server is a read-only replica")}, doctor.Fault, "takes no writes: the server is a read-only replica", "primary"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := read(t, doctor.JudgeStore(tt.found))
			want(t, r, doctor.AreaStore, tt.level, tt.what, tt.cure)
			if (tt.found.Write == nil) != strings.Contains(r.Findings[len(r.Findings)-1].What, "takes writes") {
				t.Errorf("the write: %+v", r.Findings)
			}
		})
	}
}
