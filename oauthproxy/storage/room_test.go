package storage_test

import (
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"cognito-token-handler/oauthproxy/storage"
	"cognito-token-handler/tokenhandler/replicas/memory"
)

// TestCountedFoldersAreBounded: users who come and go do not make the memory grow.
func TestCountedFoldersAreBounded(t *testing.T) {
	for n, want := range map[int]int{10_000: 10_000, 10_001: 1} {
		if got := storage.CountedFolders(mustNew(t, goodConfig(t), authority{subject: subject}), n); got != want {
			t.Errorf("%d of %d are remembered, want %d", got, n, want)
		}
	}
}

// TestPartsCountOnce: parts that have arrived become the object, so that they need no room
// beside it, neither when further ones are signed nor when the upload is completed.
func TestPartsCountOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s3 := &partedS3{parts: []string{partXML(1, 60, "")}, unended: true}
		h := replicasWith(t, s3, nil, storage.Quota{Bytes: 100}, 1)[0]
		upload := "/storage/multipart/" + beginParts(t, h, `{"key":"b","content_type":"","size":60}`).UploadID
		time.Sleep(10 * time.Minute) // the folder is counted again
		if u := usageOf(t, h); u.Bytes != 60 {
			t.Errorf("%+v", u)
		}
		wantCode(t, h, http.MethodPost, "/storage/uploads", `{"key":"c","content_type":"","size":41}`, http.StatusForbidden, "quota_exceeded")
		wantCode(t, h, http.MethodPost, "/storage/uploads", `{"key":"c","content_type":"","size":40}`, http.StatusCreated, "")
		time.Sleep(20 * time.Minute) // that URL has expired, and is not counted any more
		wantCode(t, h, http.MethodPost, upload+"/parts", `{"key":"b","part_numbers":[1]}`, http.StatusOK, "")
		wantCode(t, h, http.MethodPost, upload+"/complete", "", http.StatusCreated, "")
	})
}

// TestWhatHasEndedNeedsNoRoom: a claim ends with what it was made for, and not only when the
// URLs expire. S3 stores nothing here.
func TestWhatHasEndedNeedsNoRoom(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, h http.Handler){
		"an aborted upload": func(t *testing.T, h http.Handler) {
			t.Helper()
			upload := "/storage/multipart/" + beginParts(t, h, `{"key":"b","content_type":"","size":60}`).UploadID
			wantNoContent(t, h, upload)
		},
		"an upload of wrong parts": func(t *testing.T, h http.Handler) {
			t.Helper()
			upload := "/storage/multipart/" + beginParts(t, h, `{"key":"b","content_type":"","size":60}`).UploadID
			wantCode(t, h, http.MethodPost, upload+"/complete", "", http.StatusBadRequest, "invalid_request")
		},
		"a completed upload": func(t *testing.T, h http.Handler) {
			t.Helper()
			upload := "/storage/multipart/" + beginParts(t, h, `{"key":"b","content_type":"","size":61}`).UploadID
			wantCode(t, h, http.MethodPost, upload+"/complete", "", http.StatusCreated, "")
		},
		"a copy": func(t *testing.T, h http.Handler) {
			t.Helper()
			for range 6 { // of 10 bytes
				wantCode(t, h, http.MethodPost, "/storage/copies", `{"from":"a","to":"c"}`, http.StatusCreated, "")
				wantCode(t, h, http.MethodPost, "/storage/copies", fmt.Sprintf(`{"from":"a","to":"c%d"}`, time.Now().UnixNano()), http.StatusCreated, "")
				time.Sleep(2 * time.Second)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := replicasWith(t, &partedS3{parts: []string{partXML(1, 61, "")}}, nil, storage.Quota{Bytes: 100}, 1)[0]
				end(t, h)
				time.Sleep(2 * time.Second)
				wantCode(t, h, http.MethodPost, "/storage/uploads", `{"key":"d","content_type":"","size":100}`, http.StatusCreated, "")
			})
		})
	}
}

func wantNoContent(t *testing.T, h http.Handler, path string) {
	t.Helper()
	if rec := ask(t, h, http.MethodDelete, path, ""); rec.Code != http.StatusNoContent {
		t.Errorf("%d %s", rec.Code, rec.Body)
	}
}

// TestClaimsOfTheStoreAreNotTrusted: of what the store has for a folder, only what this service
// writes counts.
func TestClaimsOfTheStoreAreNotTrusted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		until := time.Now().Add(time.Hour).Unix()
		times := fmt.Sprintf("%d %d", until, until)
		entries := map[string]string{
			"good": "7 1 " + times, "largest": fmt.Sprintf("%d 1 %s", 1<<50, times),
			"changed": "100 1 " + times, "negative": "-1 1 " + times, "negative number": "100 -1 " + times, "too large": fmt.Sprintf("%d 1 %s", 1<<50+1, times),
			"wraps": "99999999999999999999 1 " + times, "short": "100 1", "long": "100 1 " + times + " 1", "text": "many 1 " + times, "end in the far": fmt.Sprintf("100 1 %d %d", until, 1<<50+1), "empty": "",
		}
		shared := memory.NewMaps(time.Now, 1000)
		if ok, err := shared.ChangeMap(t.Context(), "users/0f9e-sub/", "", entries, nil, time.Hour); !ok || err != nil {
			t.Fatal(ok, err)
		}
		h := replicasWith(t, &folderS3{objects: map[string]int64{}}, shared, storage.Quota{}, 1)[0]
		if u := usageOf(t, h); u.Bytes != 1<<50+7 || u.Objects != 2 {
			t.Errorf("%+v", u)
		}
	})
}

// TestClaimsBeyondTheMostAreSummedUp: they take few entries, and count all the same.
func TestClaimsBeyondTheMostAreSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const told, more = 500, 20
		until := time.Now().Add(6 * time.Minute).Unix()
		entries := map[string]string{}
		for i := range told {
			entries[fmt.Sprint("claim-", i)] = fmt.Sprintf("10 1 %d %d", until, until)
		}
		claims := memory.NewMaps(time.Now, 10_000)
		if ok, err := claims.ChangeMap(t.Context(), "users/0f9e-sub/", "", entries, nil, time.Hour); !ok || err != nil {
			t.Fatal(ok, err)
		}
		cfg := goodConfig(t)
		cfg.HTTPClient, cfg.Now, cfg.Claims, cfg.Quota = inProcess{&folderS3{objects: map[string]int64{}}}, time.Now, claims, storage.Quota{Objects: told + more}
		h := mustNew(t, cfg, authority{subject: subject})
		for i := range more {
			if signed := presigns(t, h, fmt.Sprint(i, "-"), 1, 10); signed != 1 {
				t.Fatalf("upload %d was refused", i)
			}
			time.Sleep(time.Second)
		}
		if signed := presigns(t, h, "over", 1, 10); signed != 0 {
			t.Error("signed over the quota")
		}
		if u := usageOf(t, h); u.Bytes != 10*(told+more) || u.Objects != told+more {
			t.Errorf("%+v", u)
		}
		if kept, _, err := claims.ReadMap(t.Context(), "users/0f9e-sub/"); err != nil || len(kept) > told+3 {
			t.Errorf("%d entries, %v", len(kept), err)
		}
	})
}
