package storage_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"syscall"
	"testing"
	"time"

	"cognito-token-handler/oauthproxy/storage"
)

// benchmark runs requests, and reports the CPU time of each URL that they sign: on a busy machine the time
// of the clock says little.
func benchmark(b *testing.B, cfg func(*storage.Config), signed int, request func(h http.Handler, i int) int) {
	b.Helper()
	c := goodConfig(b)
	c.Log, c.Now, c.MaxSize = slog.New(slog.DiscardHandler), time.Now, 1<<40
	c.HTTPClient = inProcess{&folderS3{objects: map[string]int64{"users/0f9e-sub/a": 10}}}
	cfg(&c)
	h := mustNew(b, c, authority{subject: subject})
	request(h, 0)
	before, i := cpuTime(b), 0
	b.ReportAllocs()
	for b.Loop() {
		i++
		if status := request(h, i); status >= http.StatusBadRequest {
			b.Fatal(status)
		}
	}
	b.ReportMetric(float64((cpuTime(b)-before).Nanoseconds())/1e3/float64(i*signed), "cpu-µs/URL")
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkUpload is a whole POST /uploads: reading, signing, answering.
func BenchmarkUpload(b *testing.B) {
	for name, cfg := range map[string]func(*storage.Config){
		"no quota": func(*storage.Config) {},
		"quota":    func(c *storage.Config) { c.Quota.Bytes = 1 << 40 },
	} {
		b.Run(name, func(b *testing.B) {
			benchmark(b, cfg, 1, func(h http.Handler, i int) int {
				body := fmt.Sprintf(`{"key":"notes/%d.json","content_type":"application/json","size":1234,"if_none_match":"*"}`, i%50)
				return send(b, h, http.MethodPost, "/storage/uploads", "application/json", body).Code
			})
		})
	}
}

// BenchmarkDownload is a whole GET of an object with a redirect, and with the HEAD that
// it asks of an S3 in this process.
func BenchmarkDownload(b *testing.B) {
	benchmark(b, func(*storage.Config) {}, 1, func(h http.Handler, _ int) int {
		return send(b, h, http.MethodGet, "/storage/objects/a", "", "").Code
	})
}

// BenchmarkParts signs 100 URLs with one request, so that almost all of it is signing.
func BenchmarkParts(b *testing.B) {
	var created struct {
		UploadID string `json:"upload_id"`
	}
	numbers := "1"
	for n := 2; n <= 100; n++ {
		numbers += fmt.Sprint(",", n)
	}
	benchmark(b, func(c *storage.Config) { c.HTTPClient = inProcess{conflictS3{}} }, 100, func(h http.Handler, i int) int {
		if i == 0 {
			rec := send(b, h, http.MethodPost, "/storage/multipart", "application/json", `{"key":"a","content_type":"","size":1073741824}`)
			if err := json.Unmarshal(rec.Body.Bytes(), &created); err != nil {
				b.Fatal(err)
			}
		}
		return send(b, h, http.MethodPost, "/storage/multipart/"+created.UploadID+"/parts", "application/json", `{"key":"a","part_numbers":[`+numbers+`]}`).Code
	})
}
