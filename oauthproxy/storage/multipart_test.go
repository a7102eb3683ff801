package storage_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/test/testkit"
)

// begunParts is the answer to the creation of an upload in parts.
type begunParts struct {
	UploadID  string `json:"upload_id"`
	Key       string `json:"key"`
	PartSize  int64  `json:"part_size"`
	PartCount int64  `json:"part_count"`
}

func beginParts(t *testing.T, h http.Handler, body string) begunParts {
	t.Helper()
	return answerOf[begunParts](t, h, http.MethodPost, "/storage/multipart", body, http.StatusCreated)
}

// partedS3 has one upload in parts, with the parts that a test writes down in XML.
type partedS3 struct {
	parts     []string // the pages of a list of the parts
	created   http.Header
	completed string
	unended   bool // lists of unfinished uploads show it
	calls     []string
}

func (s *partedS3) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	w.Header().Set("Content-Type", "application/xml")
	switch {
	case r.Method == http.MethodPost && query.Has("uploads"):
		s.created = r.Header
		_, _ = fmt.Fprint(w, `<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>`)
	case r.Method == http.MethodPost:
		s.calls = append(s.calls, "complete")
		body, _ := io.ReadAll(r.Body)
		s.completed = string(body)
		_, _ = fmt.Fprint(w, `<CompleteMultipartUploadResult></CompleteMultipartUploadResult>`)
	case r.Method == http.MethodDelete:
		s.calls = append(s.calls, "abort")
		w.WriteHeader(http.StatusNoContent)
	case query.Has("uploadId"):
		page := 0
		_, _ = fmt.Sscan(query.Get("part-number-marker"), &page)
		_, _ = fmt.Fprintf(w, `<ListPartsResult><IsTruncated>%t</IsTruncated><NextPartNumberMarker>%d</NextPartNumberMarker>%s</ListPartsResult>`, page+1 < len(s.parts), page+1, s.parts[page])
	case query.Has("uploads") && s.unended:
		_, _ = fmt.Fprint(w, `<ListMultipartUploadsResult><Upload><Key>users/0f9e-sub/b</Key><UploadId>u1</UploadId></Upload></ListMultipartUploadsResult>`)
	case query.Has("uploads"):
		_, _ = fmt.Fprint(w, `<ListMultipartUploadsResult></ListMultipartUploadsResult>`)
	case query.Has("list-type"):
		_, _ = fmt.Fprint(w, `<ListBucketResult></ListBucketResult>`)
	case r.Method == http.MethodPut:
		_, _ = fmt.Fprint(w, `<CopyObjectResult></CopyObjectResult>`)
	default:
		w.Header().Set("Content-Length", "10")
		w.Header().Set("ETag", `"e-1"`)
		w.Header().Set("Last-Modified", "Wed, 04 Mar 2026 12:00:00 GMT")
	}
}

func partXML(number, size int64, more string) string {
	return fmt.Sprintf(`<Part><PartNumber>%d</PartNumber><Size>%d</Size><ETag>"e%d"</ETag>%s</Part>`, number, size, number, more)
}

func withParts(t *testing.T, maxSize int64, pages ...string) (*partedS3, *storage.Handler, *testkit.Log) {
	t.Helper()
	var log testkit.Log
	s3 := &partedS3{parts: pages}
	cfg := goodConfig(t)
	cfg.HTTPClient, cfg.MaxSize, cfg.Log = inProcess{s3}, maxSize, log.Logger()
	return s3, mustNew(t, cfg, authority{subject: subject}), &log
}

// TestSizesOfParts: parts have 8 MiB, or whole MiB so that 10,000 of them are enough.
func TestSizesOfParts(t *testing.T) {
	_, h, _ := withParts(t, storage.MaxObjectSize)
	for size, want := range map[int64][2]int64{
		1: {8 * mebi, 1}, 8 * mebi: {8 * mebi, 1}, 8*mebi + 1: {8 * mebi, 2}, 80_000 * mebi: {8 * mebi, 10_000}, 80_000*mebi + 1: {9 * mebi, 8889},
		storage.MaxObjectSize: {storage.MaxPutSize, 10_000},
	} {
		p := beginParts(t, h, fmt.Sprintf(`{"key":"b","content_type":"","size":%d}`, size))
		if got := [2]int64{p.PartSize, p.PartCount}; got != want || p.Key != "b" {
			t.Errorf("%d bytes: %d parts of %d bytes of %q, want %v", size, got[1], got[0], p.Key, want)
		}
	}
	wantCode(t, h, http.MethodPost, "/storage/uploads", fmt.Sprintf(`{"key":"b","content_type":"","size":%d}`, storage.MaxPutSize+1), http.StatusRequestEntityTooLarge, "too_large")
	wantCode(t, h, http.MethodPost, "/storage/uploads", fmt.Sprintf(`{"key":"b","content_type":"","size":%d}`, storage.MaxPutSize), http.StatusCreated, "")
}

// TestUploadInPartsIsRefused before anything has begun at S3.
func TestUploadInPartsIsRefused(t *testing.T) {
	h := untouchableS3(t)
	for name, fields := range map[string]string{
		"empty": `"key":"b","size":0`, "SHA-256": `"key":"b","size":1,"checksum_sha256":"` + sum + `"`, "CRC32": `"key":"b","size":1,"checksum_crc32":"AAAAAA=="`,
		"algorithm": `"key":"b","size":1,"checksum_algorithm":"MD5"`, "key": `"size":1,"key":"../b"`,
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, h, http.MethodPost, "/storage/multipart", `{"content_type":"",`+fields+`}`, http.StatusBadRequest, "invalid_request")
		})
	}
	wantCode(t, h, http.MethodPost, "/storage/multipart", `{"key":"b","content_type":"","size":1048577}`, http.StatusRequestEntityTooLarge, "too_large")
	wantCode(t, h, http.MethodPost, "/storage/uploads", `{"key":"b","content_type":"","size":1,"checksum_algorithm":"CRC32"}`, http.StatusBadRequest, "invalid_request")
}

type signedPartsAnswer struct {
	Parts []struct {
		PartNumber int64             `json:"part_number"`
		Size       int64             `json:"size"`
		Method     string            `json:"method"`
		URL        string            `json:"url"`
		Headers    map[string]string `json:"headers"`
	} `json:"parts"`
	ExpiresAt string `json:"expires_at"`
}

// TestSigningParts: each part is signed with its own number and size. The log has the sum of
// the sizes.
func TestSigningParts(t *testing.T) {
	_, h, log := withParts(t, 100*mebi)
	upload := "/storage/multipart/" + beginParts(t, h, fmt.Sprintf(`{"key":"b","content_type":"","size":%d}`, 16*mebi+5)).UploadID
	signed := answerOf[signedPartsAnswer](t, h, http.MethodPost, upload+"/parts", `{"key":"b","part_numbers":[3,1]}`, http.StatusOK)
	if len(signed.Parts) != 2 || signed.ExpiresAt != "2026-03-04T12:05:00Z" {
		t.Fatalf("%+v", signed)
	}
	for i, want := range []struct{ number, size int64 }{{3, 5}, {1, 8 * mebi}} {
		part := signed.Parts[i]
		link, err := url.Parse(part.URL)
		if err != nil || part.PartNumber != want.number || part.Size != want.size || part.Method != http.MethodPut ||
			link.Query().Get("partNumber") != fmt.Sprint(want.number) || link.Query().Get("uploadId") != "u1" || link.Path != "/files/users/0f9e-sub/b" {
			t.Errorf("part %d: %+v: %v", i, part, err)
		}
	}
	records := log.RecordsOf(t, "storage")
	if last := records[len(records)-1]; len(records) != 2 || last["operation"] != "multipart_sign" || last["size"] != float64(8*mebi+5) || last["key"] != "b" {
		t.Errorf("logged %v", records)
	}
}

// TestPartsThatAreNotSigned: the numbers are those of parts of this upload, each once.
func TestPartsThatAreNotSigned(t *testing.T) {
	_, h, _ := withParts(t, 2000*mebi)
	upload := "/storage/multipart/" + beginParts(t, h, fmt.Sprintf(`{"key":"b","content_type":"","size":%d}`, 8*101*mebi)).UploadID + "/parts"
	numbers := func(from, to int) string {
		return strings.Trim(strings.Join(strings.Fields(fmt.Sprint(upTo(from, to))), ","), "[]")
	}
	for name, body := range map[string]string{
		"another key": `{"key":"c","part_numbers":[1]}`, "no key": `{"part_numbers":[1]}`, "no part": `{"key":"b","part_numbers":[]}`, "no list": `{"key":"b"}`,
		"part 0": `{"key":"b","part_numbers":[0]}`, "too far": `{"key":"b","part_numbers":[102]}`, "twice": `{"key":"b","part_numbers":[1,2,1]}`,
		"text": `{"key":"b","part_numbers":["1"]}`, "wraps": `{"key":"b","part_numbers":[4294967297]}`, "many": `{"key":"b","part_numbers":[` + numbers(1, 101) + `]}`,
		"checksums": `{"key":"b","part_numbers":[1],"checksums":["AAAAAA=="]}`, "broken": `{"key":"b"`,
	} {
		t.Run(name, func(t *testing.T) {
			wantCode(t, h, http.MethodPost, upload, body, http.StatusBadRequest, "invalid_request")
		})
	}
	wantCode(t, h, http.MethodPost, upload, `{"key":"b","part_numbers":[`+numbers(2, 101)+`]}`, http.StatusOK, "")
}

func upTo(from, to int) (all []int) {
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}

// TestChecksumsOfParts follows the checksum of a part from the signature to the completion,
// for each algorithm.
func TestChecksumsOfParts(t *testing.T) {
	for algorithm, c := range map[string]struct {
		size int
		kind string
	}{"SHA256": {32, "COMPOSITE"}, "CRC32": {4, "FULL_OBJECT"}, "CRC32C": {4, "FULL_OBJECT"}, "CRC64NVME": {8, "FULL_OBJECT"}} {
		t.Run(algorithm, func(t *testing.T) {
			value := base64.StdEncoding.EncodeToString(make([]byte, c.size))
			element := fmt.Sprintf("<Checksum%s>%s</Checksum%s>", algorithm, value, algorithm)
			s3, h, _ := withParts(t, 100, partXML(1, 10, element))
			upload := "/storage/multipart/" + beginParts(t, h, fmt.Sprintf(`{"key":"b","content_type":"","size":10,"checksum_algorithm":%q}`, algorithm)).UploadID
			if s3.created.Get("X-Amz-Checksum-Algorithm") != algorithm || s3.created.Get("X-Amz-Checksum-Type") != c.kind {
				t.Errorf("begun with %v", s3.created)
			}
			signed := answerOf[signedPartsAnswer](t, h, http.MethodPost, upload+"/parts", fmt.Sprintf(`{"key":"b","part_numbers":[1],"checksums":[%q]}`, value), http.StatusOK)
			if name := http.CanonicalHeaderKey("x-amz-checksum-" + algorithm); !strings.Contains(strings.ToLower(signed.Parts[0].URL), strings.ToLower(name)) && signed.Parts[0].Headers[name] != value {
				t.Errorf("signed %+v", signed.Parts[0])
			}
			for _, checksums := range []string{"", `,"checksums":[]`, fmt.Sprintf(`,"checksums":[%q,%q]`, value, value), `,"checksums":["AAAA"]`, fmt.Sprintf(`,"checksums":[%q]`, value[:2]+"\\r\\n"+value[2:])} {
				wantCode(t, h, http.MethodPost, upload+"/parts", `{"key":"b","part_numbers":[1]`+checksums+`}`, http.StatusBadRequest, "invalid_request")
			}
			listed := answerOf[listedPartsAnswer](t, h, http.MethodGet, upload, "", http.StatusOK)
			if len(listed.Parts) != 1 || listed.Parts[0].Checksum != value {
				t.Errorf("%+v", listed)
			}
			wantCode(t, h, http.MethodPost, upload+"/complete", "", http.StatusCreated, "")
			if !strings.Contains(s3.completed, element) {
				t.Errorf("completed with %s", s3.completed)
			}
		})
	}
}

type listedPartsAnswer struct {
	Key       string `json:"key"`
	Size      int64  `json:"size"`
	PartSize  int64  `json:"part_size"`
	PartCount int64  `json:"part_count"`
	Parts     []struct {
		PartNumber int64  `json:"part_number"`
		Size       int64  `json:"size"`
		ETag       string `json:"etag"`
		Checksum   string `json:"checksum"`
	} `json:"parts"`
}

// TestPartsThatS3Has come from all pages of S3's list.
func TestPartsThatS3Has(t *testing.T) {
	_, h, _ := withParts(t, 100*mebi, partXML(1, 8*mebi, ""), partXML(2, 5, ""))
	upload := "/storage/multipart/" + beginParts(t, h, fmt.Sprintf(`{"key":"b","content_type":"","size":%d}`, 8*mebi+5)).UploadID
	listed := answerOf[listedPartsAnswer](t, h, http.MethodGet, upload+"?key=b", "", http.StatusOK)
	if listed.Key != "b" || listed.Size != 8*mebi+5 || listed.PartSize != 8*mebi || listed.PartCount != 2 || len(listed.Parts) != 2 {
		t.Fatalf("%+v", listed)
	}
	if last := listed.Parts[1]; last.PartNumber != 2 || last.Size != 5 || last.ETag != `"e2"` || last.Checksum != "" {
		t.Errorf("%+v", last)
	}
}

// TestCompletingAnUpload: what S3 has decides, and the answer is what S3 says of the object.
func TestCompletingAnUpload(t *testing.T) {
	const size = 8*mebi*12 + 5 // 13 parts
	all := ""
	for n := int64(1); n <= 12; n++ {
		all += partXML(n, 8*mebi, "")
	}
	last := partXML(13, 5, "")
	for name, c := range map[string]struct {
		parts  string
		status int
		detail string
		calls  string
	}{
		"good":         {all + last, 201, "", "complete"},
		"none":         {"", 400, "13 parts are missing, such as 1, 2, 3, 4, 5, 6, 7, 8, 9, 10", ""},
		"one missing":  {all, 400, "these parts are missing: 13", ""},
		"ten missing":  {partXML(11, 8*mebi, "") + partXML(12, 8*mebi, "") + last, 400, "these parts are missing: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10", ""},
		"one too many": {all + last + partXML(14, 0, ""), 400, "part 14 has 0 bytes; the upload was aborted", "abort"},
		"too small":    {all + partXML(13, 4, ""), 400, "part 13 has 4 bytes; the upload was aborted", "abort"},
		"a part twice": {all + last + last, 400, fmt.Sprintf("the parts have %d bytes instead of %d; the upload was aborted", size+5, size), "abort"},
	} {
		t.Run(name, func(t *testing.T) {
			s3, h, _ := withParts(t, 1000*mebi, c.parts)
			upload := "/storage/multipart/" + beginParts(t, h, fmt.Sprintf(`{"key":"b","content_type":"","size":%d}`, size)).UploadID
			rec := ask(t, h, http.MethodPost, upload+"/complete", `{"key":"b"}`)
			if rec.Code != c.status || !strings.Contains(rec.Body.String(), c.detail) || strings.Join(s3.calls, " ") != c.calls {
				t.Errorf("%d %s, S3 saw %v", rec.Code, rec.Body, s3.calls)
			}
			if want := `{"key":"b","size":10,"etag":"\"e-1\"","last_modified":"2026-03-04T12:00:00Z"}`; c.status == http.StatusCreated && rec.Body.String() != want {
				t.Errorf("%s\nwant %s", rec.Body, want)
			}
		})
	}
}

// TestUploadOfALoweredLimit: the operator's limit is that of the moment at which the upload is
// completed.
func TestUploadOfALoweredLimit(t *testing.T) {
	s3 := &partedS3{parts: []string{partXML(1, 10, "")}}
	cfg := goodConfig(t)
	cfg.HTTPClient, cfg.MaxSize = inProcess{s3}, 10
	upload := "/storage/multipart/" + beginParts(t, mustNew(t, cfg, authority{subject: subject}), `{"key":"b","content_type":"","size":10}`).UploadID
	cfg.MaxSize = 9
	wantCode(t, mustNew(t, cfg, authority{subject: subject}), http.MethodPost, upload+"/complete", "", http.StatusRequestEntityTooLarge, "too_large")
	if strings.Join(s3.calls, " ") != "abort" {
		t.Errorf("S3 saw %v", s3.calls)
	}
}

// TestUploadsOfOthers: an upload's id opens for its user only, and for its key only.
func TestUploadsOfOthers(t *testing.T) {
	s3 := &partedS3{parts: []string{partXML(1, 10, "")}}
	cfg := goodConfig(t)
	cfg.HTTPClient = inProcess{s3}
	h, other := mustNew(t, cfg, authority{subject: subject}), mustNew(t, cfg, authority{subject: "other-sub"})
	id := beginParts(t, h, `{"key":"b","content_type":"","size":10}`).UploadID
	for _, c := range []struct {
		h       http.Handler
		id, key string
		status  int
		code    string
	}{
		{other, id, "b", http.StatusNotFound, "not_found"},
		{h, id[1:], "b", http.StatusNotFound, "not_found"},
		{h, "made-up", "b", http.StatusNotFound, "not_found"},
		{h, id, "c", http.StatusBadRequest, "invalid_request"},
	} {
		at := "/storage/multipart/" + c.id
		wantCode(t, c.h, http.MethodPost, at+"/parts", `{"key":"`+c.key+`","part_numbers":[1]}`, c.status, c.code)
		wantCode(t, c.h, http.MethodPost, at+"/complete", `{"key":"`+c.key+`"}`, c.status, c.code)
		wantCode(t, c.h, http.MethodGet, at+"?key="+c.key, "", c.status, c.code)
		wantCode(t, c.h, http.MethodDelete, at+"?key="+c.key, "", c.status, c.code)
	}
	at := "/storage/multipart/" + id
	for _, method := range []string{http.MethodGet, http.MethodDelete} {
		wantCode(t, h, method, at+"?key=b&key=b", "", http.StatusBadRequest, "invalid_request")
	}
	wantCode(t, h, http.MethodPost, at+"/complete", `{"key":1}`, http.StatusBadRequest, "invalid_request")
	if len(s3.calls) != 0 {
		t.Errorf("S3 saw %v", s3.calls)
	}
	if rec := ask(t, h, http.MethodDelete, at+"?key=b", ""); rec.Code != http.StatusNoContent || strings.Join(s3.calls, " ") != "abort" {
		t.Errorf("%d, S3 saw %v", rec.Code, s3.calls)
	}
}

// TestCredentialsOfOtherOperations: nothing is done without credentials.
func TestCredentialsOfOtherOperations(t *testing.T) {
	s3 := &partedS3{}
	cfg := goodConfig(t)
	cfg.HTTPClient = inProcess{s3}
	upload := "/storage/multipart/" + beginParts(t, mustNew(t, cfg, authority{subject: subject}), `{"key":"b","content_type":"","size":10}`).UploadID
	cfg.Credentials = service(expiring(time.Time{}))
	h := mustNew(t, cfg, authority{subject: subject})
	wantCode(t, h, http.MethodPost, upload+"/parts", `{"key":"b","part_numbers":[1]}`, http.StatusBadGateway, "upstream_error")
	cfg.Credentials = service(aws.CredentialsProviderFunc(failingCredentials))
	h = mustNew(t, cfg, authority{subject: subject})
	for _, r := range [][3]string{
		{"GET", "/storage/objects"},
		{"GET", "/storage/objects/a"},
		{"HEAD", "/storage/objects/a"},
		{"DELETE", "/storage/objects/a"},
		{"DELETE", "/storage/objects/a/?recursive=true"},
		{"GET", "/storage/usage"},
		{"POST", "/storage/copies", `{"from":"a","to":"b"}`},
		{"POST", "/storage/multipart", minimal},
		{"POST", upload + "/parts", `{"key":"b","part_numbers":[1]}`},
		{"POST", upload + "/complete"},
		{"GET", upload},
		{"DELETE", upload},
	} {
		wantCode(t, h, r[0], r[1], r[2], http.StatusBadGateway, "upstream_error")
	}
	if len(s3.calls) != 0 {
		t.Errorf("S3 saw %v", s3.calls)
	}
}
