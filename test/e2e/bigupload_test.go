//go:build e2e

package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"cognito-token-handler/test/devstack"
	"cognito-token-handler/test/useragent"
)

// bigSize is small in `make test`. `make big-upload` uploads 1 GiB.
var bigSize = flag.Int64("big", 40<<20+12345, "size of the file of TestBigUpload, in bytes")

// parallel is how many parts are uploaded at the same time.
const parallel = 4

// bigUpload is an upload in parts.
type bigUpload struct {
	t         *testing.T
	ua        *useragent.UA
	UploadID  string `json:"upload_id"`
	Key       string `json:"key"`
	PartSize  int64  `json:"part_size"`
	PartCount int64  `json:"part_count"`
}

// TestBigUpload uploads a file in parallel parts, interrupts it in the middle of several parts, restarts the service, resumes with
// what S3 has, and reads the file back byte for byte. The service's memory does not depend on the size. The parts have checksums: of a
// part that was cut, versitygw 1.8 keeps what has arrived, and lists it with its whole size, unless a checksum tells.
func TestBigUpload(t *testing.T) {
	stack := newStack(t, devstack.Options{ExtraConfig: func(_ *devstack.Stack, config devstack.Config) {
		config.Set("storage.max_size", "100GiB")
		config.Set("storage.quota.bytes", "100GiB")
	}})
	ua := login(t, stack, demo)
	u := &bigUpload{t: t, ua: ua}
	u.call(http.MethodPost, "/storage/multipart", fmt.Sprintf(`{"key":"films/big.bin","content_type":"video/mp4","size":%d,"checksum_algorithm":"CRC32C"}`, *bigSize), http.StatusCreated, u)
	begun, before := time.Now(), memoryOf(t, stack)

	half, interrupt := context.WithCancel(t.Context())
	var begunParts atomic.Int64
	if err := u.put(half, u.missing(), func() {
		if begunParts.Add(1) == u.PartCount/2+2 {
			interrupt()
		}
	}); err == nil {
		t.Fatal("the upload was not interrupted")
	}
	if err := stack.RestartHandler(t.Context()); err != nil {
		t.Fatal(err)
	}
	missing := u.missing()
	t.Logf("interrupted after %s: %d of %d parts are missing", time.Since(begun).Round(time.Millisecond), len(missing), u.PartCount)
	if len(missing) == 0 || len(missing) >= int(u.PartCount) {
		t.Fatalf("%d of %d parts are missing after the interruption", len(missing), u.PartCount)
	}
	if err := u.put(t.Context(), missing, func() {}); err != nil {
		t.Fatal(err)
	}
	var object struct{ Size int64 }
	u.call(http.MethodPost, "/storage/multipart/"+u.UploadID+"/complete", "", http.StatusCreated, &object)
	uploaded := time.Since(begun)
	u.wantContent(object.Size)
	after := memoryOf(t, stack)
	t.Logf("%d bytes: uploaded after %s, read back after %s; the service's memory was %.1f MiB before and %.1f MiB after",
		*bigSize, uploaded.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond), before/(1<<20), after/(1<<20))
	if after > before+32<<20 {
		t.Errorf("the service's memory grew from %.0f to %.0f bytes", before, after)
	}
}

// call makes a request of the app, and decodes the answer.
func (u *bigUpload) call(method, path, body string, status int, into any) {
	u.t.Helper()
	r := u.ua.Fetch(method, path, body, asJSON)
	if r.Status != status {
		u.t.Fatalf("%s %s: %d %s", method, path, r.Status, r.Body)
	}
	if err := json.Unmarshal(r.Body, into); err != nil {
		u.t.Fatal(err)
	}
}

// missing returns the numbers of the parts that S3 does not have.
func (u *bigUpload) missing() (numbers []int64) {
	u.t.Helper()
	var there struct {
		Parts []struct {
			PartNumber int64 `json:"part_number"`
		} `json:"parts"`
	}
	u.call(http.MethodGet, "/storage/multipart/"+u.UploadID+"?key="+u.Key, "", http.StatusOK, &there)
	have := map[int64]bool{}
	for _, part := range there.Parts {
		have[part.PartNumber] = true
	}
	for number := int64(1); number <= u.PartCount; number++ {
		if !have[number] {
			numbers = append(numbers, number)
		}
	}
	return numbers
}

// signedPart is a presigned part.
type signedPart struct {
	PartNumber int64 `json:"part_number"`
	Size       int64
	Method     string
	URL        string
	Headers    map[string]string
}

// put signs and uploads parts, some at the same time. It calls sending before each.
func (u *bigUpload) put(ctx context.Context, numbers []int64, sending func()) error {
	u.t.Helper()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for len(numbers) > 0 && ctx.Err() == nil {
		batch := numbers[:min(len(numbers), 2*parallel)]
		numbers = numbers[len(batch):]
		sums := make([]string, len(batch))
		for i, number := range batch {
			sums[i] = u.checksum(number)
		}
		body, err := json.Marshal(map[string]any{"key": u.Key, "part_numbers": batch, "checksums": sums})
		if err != nil {
			return err
		}
		var signed struct{ Parts []signedPart }
		u.call(http.MethodPost, "/storage/multipart/"+u.UploadID+"/parts", string(body), http.StatusOK, &signed) //nolint:contextcheck // a browser of the test
		for _, part := range signed.Parts {
			group.Go(func() error {
				sending()
				return part.send(ctx, (part.PartNumber-1)*u.PartSize)
			})
		}
	}
	return group.Wait()
}

// checksum returns the CRC32C of a part in base64.
func (u *bigUpload) checksum(number int64) string {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	offset := (number - 1) * u.PartSize
	_, _ = io.Copy(sum, io.NewSectionReader(content{}, offset, min(u.PartSize, *bigSize-offset))) // never fails
	return base64.StdEncoding.EncodeToString(sum.Sum(nil))
}

func (p signedPart) send(ctx context.Context, offset int64) error {
	r, err := http.NewRequestWithContext(ctx, p.Method, p.URL, io.NewSectionReader(content{}, offset, p.Size))
	if err != nil {
		return err
	}
	r.ContentLength = p.Size
	for name, value := range p.Headers {
		r.Header.Set(name, value)
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		return fmt.Errorf("part %d: %d %s", p.PartNumber, answer.StatusCode, text)
	}
	return nil
}

// content is a file of any size, which takes no memory: no two of its blocks are equal.
type content struct{}

func (content) ReadAt(p []byte, offset int64) (int, error) {
	const block = sha256.Size
	for done := 0; done < len(p); {
		at := offset + int64(done)
		sum := sha256.Sum256(strconv.AppendInt(nil, at/block, 10))
		done += copy(p[done:], sum[at%block:])
	}
	return len(p), nil
}

// wantContent reads the file back, and compares it byte for byte.
func (u *bigUpload) wantContent(size int64) {
	u.t.Helper()
	var signed struct{ URL string }
	u.call(http.MethodGet, "/storage/objects/"+u.Key+"?redirect=false", "", http.StatusOK, &signed)
	r, err := http.NewRequestWithContext(u.t.Context(), http.MethodGet, signed.URL, nil)
	if err != nil {
		u.t.Fatal(err)
	}
	answer, err := (&http.Client{}).Do(r)
	if err != nil {
		u.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if size != *bigSize || answer.ContentLength != *bigSize {
		u.t.Fatalf("the object has %d bytes, and its answer %d, want %d", size, answer.ContentLength, *bigSize)
	}
	got, want := make([]byte, 1<<20), make([]byte, 1<<20)
	for offset := int64(0); offset < size; {
		n, err := io.ReadFull(answer.Body, got[:min(int64(len(got)), size-offset)])
		if err != nil {
			u.t.Fatalf("reading at %d: %v", offset, err)
		}
		_, _ = content{}.ReadAt(want[:n], offset)
		if !bytes.Equal(got[:n], want[:n]) {
			u.t.Fatalf("the bytes from %d on differ", offset)
		}
		offset += int64(n)
	}
}

// memoryOf returns the resident memory of the service, in bytes.
func memoryOf(t *testing.T, stack *devstack.Stack) float64 {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, stack.AdminURL+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := (&http.Client{}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "process_resident_memory_bytes "); ok {
			resident, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return resident
		}
	}
	t.Fatal("the service does not tell its memory")
	return 0
}
