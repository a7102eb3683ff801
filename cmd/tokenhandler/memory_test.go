package main_test

import (
	"math"
	"strings"
	"syscall"
	"testing"

	main "cognito-token-handler/cmd/tokenhandler"
)

func TestChooseGOGC(t *testing.T) {
	const none, some = math.MaxInt64, 400 << 20
	for name, c := range map[string]struct {
		now     int
		limit   int64
		environ []string
		want    int
	}{
		"no limit":                    {100, none, nil, 100},
		"a limit":                     {100, some, []string{"GOMEMLIMIT=400MiB", "XGOGC=1", "GOGC_=1", "GOGC"}, 400},
		"a limit, set to nothing":     {100, some, []string{"GOGC="}, 400},
		"a limit, set":                {50, some, []string{"A=b", "GOGC=50"}, 50},
		"a limit, set to the default": {100, some, []string{"GOGC=100"}, 100},
		"a limit, off":                {-1, some, []string{"GOGC=off"}, -1},
		"no limit, off":               {-1, none, []string{"GOGC=off"}, -1},
	} {
		if got := main.ChooseGOGC(c.now, c.limit, c.environ); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

// TestMemorySettingsInEffect reads the settings from the running program's metrics.
func TestMemorySettingsInEffect(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ []string
		wants   []string
	}{
		"limit":          {[]string{"GOMEMLIMIT=400MiB", "GOGC="}, []string{"go_gc_gogc_percent 400\n", "go_gc_gomemlimit_bytes 4.194304e+08", `"memory_limit":"400MiB","gogc":400`}},
		"limit and GOGC": {[]string{"GOMEMLIMIT=400MiB", "GOGC=50"}, []string{"go_gc_gogc_percent 50\n", "go_gc_gomemlimit_bytes 4.194304e+08", `"memory_limit":"400MiB","gogc":50`}},
		"no limit":       {[]string{"GOMEMLIMIT=off", "GOGC="}, []string{"go_gc_gogc_percent 100\n", "go_gc_gomemlimit_bytes 9.223372036854776e+18", `"memory_limit":"off","gogc":100`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, configuration(newPool(t), "http://localhost:1"), c.environ...)
			_, metrics := s.get("http://" + s.admin + "/metrics")
			for _, want := range c.wants {
				if !strings.Contains(metrics+s.out.String(), want) {
					t.Errorf("neither the metrics nor the log contain %s", want)
				}
			}
			s.signal(syscall.SIGTERM)
			if err := s.end(); err != nil {
				t.Error(err)
			}
		})
	}
}
