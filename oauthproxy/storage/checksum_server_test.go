//go:build e2e

package storage_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strings"
	"testing"
)

// base64Of returns the checksum of a content as S3 writes it.
func base64Of(t *testing.T, algorithm string, content io.Reader) string {
	t.Helper()
	h := map[string]func() hash.Hash{
		"SHA256":    sha256.New,
		"CRC32":     func() hash.Hash { return crc32.NewIEEE() },
		"CRC32C":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
		"CRC64NVME": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
	}[algorithm]()
	if _, err := io.Copy(h, content); err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// Parts are signed with their checksums, S3 refuses others, and the object has one.
func TestServerChecksumsOfParts(t *testing.T) {
	server := startServer(t)
	cfg := configAt(t, server, 0)
	cfg.MaxSize = 100 * mib
	h := mustNew(t, cfg, authority{subject: "user-a"})
	const size = 8*mib + 1000
	for _, algorithm := range []string{"SHA256", "CRC32", "CRC32C", "CRC64NVME"} {
		t.Run(algorithm, func(t *testing.T) {
			p := createParts(t, h, map[string]any{"key": algorithm, "content_type": "text/plain", "size": size, "checksum_algorithm": algorithm})
			sums := []string{base64Of(t, algorithm, pattern(0, 8*mib)), base64Of(t, algorithm, pattern(8*mib, 1000))}
			signed := answerOf[signedParts](t, h, http.MethodPost, p.path("/parts"), jsonOf(t, map[string]any{"key": p.Key, "part_numbers": []int{1, 2}, "checksums": sums}), 200)
			for i, part := range signed.Parts {
				for name, body := range map[string]io.Reader{"another": strings.NewReader(strings.Repeat("x", int(part.Size))), "": pattern(int64(i)*8*mib, part.Size)} {
					r, err := http.NewRequestWithContext(t.Context(), part.Method, part.URL, body)
					if err != nil {
						t.Fatal(err)
					}
					for header, value := range part.Headers {
						r.Header.Set(header, value)
					}
					r.ContentLength = part.Size
					if got := roundTrip(t, r); (got.status == http.StatusOK) != (name == "") {
						t.Errorf("%s part %d: %d %s", name, part.PartNumber, got.status, got.body)
					}
				}
			}
			listed := answerOf[struct{ Parts []struct{ Checksum string } }](t, h, http.MethodGet, p.path("?key="+algorithm), "", 200)
			if len(listed.Parts) != 2 || listed.Parts[0].Checksum != sums[0] || listed.Parts[1].Checksum != sums[1] {
				t.Errorf("%+v, want %v", listed, sums)
			}
			answerOf[listedObject](t, h, http.MethodPost, p.path("/complete"), "", 201)
			header := ask(t, h, http.MethodHead, "/storage/objects/"+algorithm, "").Header()
			want, kind := base64Of(t, algorithm, pattern(0, size)), "FULL_OBJECT"
			if algorithm == "SHA256" {
				want, kind = base64Of(t, algorithm, strings.NewReader(decoded(t, sums[0])+decoded(t, sums[1])))+"-2", "COMPOSITE"
			}
			if got := header.Get("X-Amz-Checksum-" + algorithm); got != want || header.Get("X-Amz-Checksum-Type") != kind {
				t.Errorf("HEAD has %q, %v, want %q, %s", got, header, want, kind)
			}
		})
	}
}

func decoded(t *testing.T, text string) string {
	t.Helper()
	sum, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(sum)
}

func TestServerRefusesChecksumsOfParts(t *testing.T) {
	server := startServer(t)
	h := handlerAt(t, server, "user-a", 0)
	body := map[string]any{"key": "k", "content_type": "text/plain", "size": 10}
	without := createParts(t, h, body)
	body["checksum_algorithm"] = "CRC32"
	with := createParts(t, h, body)
	sum := base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, 1))
	for name, c := range map[string]struct {
		p         parts
		checksums string
	}{
		"none": {with, ""}, "empty": {with, `,"checksums":[]`}, "two": {with, fmt.Sprintf(`,"checksums":[%q,%q]`, sum, sum)},
		"null": {with, `,"checksums":[null]`}, "SHA-256": {with, fmt.Sprintf(`,"checksums":[%q]`, checksum("x"))},
		"lines": {with, `,"checksums":["AAA\r\nAAA=="]`}, "no algorithm": {without, fmt.Sprintf(`,"checksums":[%q]`, sum)},
		"a text": {with, fmt.Sprintf(`,"checksums":%q`, sum)},
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, h, http.MethodPost, c.p.path("/parts"), `{"key":"k","part_numbers":[1]`+c.checksums+`}`, 400, "invalid_request")
		})
	}
	wantCode(t, h, http.MethodPost, "/storage/multipart", note(t, map[string]any{"checksum_algorithm": "MD5"}), 400, "invalid_request")
	wantCode(t, h, http.MethodPost, "/storage/uploads", note(t, map[string]any{"checksum_algorithm": "CRC32"}), 400, "invalid_request")
}
