package storage

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"time"

	"cognito-token-handler/tokenhandler/web"
)

// request is a request of a signed-in user.
type request struct {
	*http.Request

	w     http.ResponseWriter
	grant Grant
	// folder is the prefix of the user's keys, with a slash at its end.
	folder string
	// name is the variable part of the path, decoded once: a key, or an upload's id.
	name string
}

// response is what a handler answers. Handlers do not write it themselves, because the
// session's cookies must be written before.
type response struct {
	status int
	// header is added to the response.
	header http.Header
	// body is sent as JSON; nil sends no body.
	body any
	// location is where a redirect leads.
	location string
}

// operation handles one kind of request.
type operation func(q *request) (response, error)

// The names of the operations in metrics and in the log.
const (
	opUpload       = "upload"
	opList         = "list"
	opGet          = "get"
	opHead         = "head"
	opDelete       = "delete"
	opDeleteFolder = "delete_folder"
	opCopy         = "copy"
	opCreateParts  = "multipart_create"
	opSignParts    = "multipart_sign"
	opListParts    = "multipart_list"
	opComplete     = "multipart_complete"
	opAbort        = "multipart_abort"
	opUsage        = "usage"
)

// endpoints serves all paths under Config.Path. It does not use [http.ServeMux], which
// redirects requests for unclean paths and reads patterns in keys.
func (h *Handler) endpoints() http.Handler {
	get := func(op string, handle operation) map[string]http.Handler {
		endpoint := h.endpoint(op, requestTimeout, handle)
		return map[string]http.Handler{http.MethodGet: endpoint, http.MethodHead: endpoint}
	}
	post := func(op string, timeout time.Duration, handle operation) map[string]http.Handler {
		return map[string]http.Handler{http.MethodPost: h.endpoint(op, timeout, handle)}
	}
	upload := get(opListParts, h.listParts)
	upload[http.MethodDelete] = h.endpoint(opAbort, requestTimeout, h.abort)
	object, folder := h.endpoint(opDelete, requestTimeout, h.delete), h.endpoint(opDeleteFolder, requestTimeout, h.deleteFolder)
	paths := map[string]http.Handler{
		"/uploads":   h.methods("/uploads", post(opUpload, requestTimeout, h.createUpload)),
		"/objects":   h.methods("/objects", get(opList, h.list)),
		"/copies":    h.methods("/copies", post(opCopy, completeTimeout, h.copy)),
		"/usage":     h.methods("/usage", get(opUsage, h.usage)),
		"/multipart": h.methods("/multipart", post(opCreateParts, requestTimeout, h.createParts)),
		"/objects/{key}": h.methods("/objects/{key}", map[string]http.Handler{
			http.MethodGet:  h.endpoint(opGet, requestTimeout, h.get),
			http.MethodHead: h.endpoint(opHead, requestTimeout, h.head),
			http.MethodDelete: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/") {
					folder.ServeHTTP(w, r)
					return
				}
				object.ServeHTTP(w, r)
			}),
		}),
		"/multipart/{upload_id}":          h.methods("/multipart/{upload_id}", upload),
		"/multipart/{upload_id}/parts":    h.methods("/multipart/{upload_id}/parts", post(opSignParts, requestTimeout, h.signParts)),
		"/multipart/{upload_id}/complete": h.methods("/multipart/{upload_id}/complete", post(opComplete, completeTimeout, h.complete)),
	}
	notFound := h.cfg.Site.NotFound()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		route, _ := h.split(r.URL.Path)
		if endpoint, ok := paths[route]; ok {
			endpoint.ServeHTTP(w, r)
			return
		}
		notFound.ServeHTTP(w, r)
	})
}

// split returns the route of a path, and the key or upload id in it. Everything behind
// /objects/ is the key.
func (h *Handler) split(path string) (route, name string) {
	route, ours := strings.CutPrefix(path, h.cfg.Path)
	if !ours {
		return "", ""
	}
	if key, ok := strings.CutPrefix(route, "/objects/"); ok {
		return "/objects/{key}", key
	}
	if rest, ok := strings.CutPrefix(route, "/multipart/"); ok && rest != "" {
		id, step, deeper := strings.Cut(rest, "/")
		if !deeper {
			return "/multipart/{upload_id}", id
		}
		return "/multipart/{upload_id}/" + step, id
	}
	return route, ""
}

// methods dispatches by method, and refuses others with 405.
func (h *Handler) methods(route string, handlers map[string]http.Handler) http.Handler {
	var allow []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete} {
		if handlers[method] != nil {
			allow = append(allow, method)
		}
	}
	return h.cfg.Site.Methods(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.NoteRoute(r, h.cfg.Path+route)
		handlers[r.Method].ServeHTTP(w, r)
	}), allow...)
}

// endpoint runs an operation for a signed-in user, in this order:
//
//  1. It authorises the request. Nothing of the body is read before.
//  2. It refuses to sign URLs for a session that has asked for too many, or while that
//     cannot be recorded.
//  3. It runs the operation, with a deadline for all its calls.
//  4. It adds the session's cookies, also if the operation refuses the request.
//  5. It counts and writes the response.
func (h *Handler) endpoint(name string, timeout time.Duration, handle operation) http.Handler {
	return h.cfg.Site.Handle(func(w http.ResponseWriter, r *http.Request) error {
		grant, err := h.auth.Authorize(r)
		if err != nil {
			h.metrics.count(name, err)
			return err
		}
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		var result response
		if err = h.maySign(ctx, name, grant); err == nil {
			result, err = h.run(&request{Request: r.WithContext(ctx), w: w, grant: grant}, handle)
		}
		grant.Commit(w.Header())
		h.metrics.count(name, err)
		if err != nil {
			return err
		}
		h.write(w, r, result)
		return nil
	})
}

// run finds the user's folder and runs the operation in it.
func (h *Handler) run(q *request, handle operation) (response, error) {
	folder, err := h.folders.folderOf(q.grant.Subject())
	if err != nil {
		return response{}, web.NewProblem(web.CodeProviderError, "the user's id cannot name a folder", err)
	}
	q.folder = folder
	_, q.name = h.split(q.URL.Path)
	return handle(q)
}

// open returns the bucket with the user's credentials. Operations call it after they
// have checked what the client sent.
func (h *Handler) open(q *request) (userBucket, error) {
	credentials, err := retrieve(q.Context(), h.cfg.Credentials, q.grant)
	if err != nil {
		return userBucket{}, err
	}
	return userBucket{h.bucket, credentials}, nil
}

func (h *Handler) write(w http.ResponseWriter, r *http.Request, result response) {
	maps.Copy(w.Header(), result.header)
	switch {
	case result.location != "":
		h.cfg.Site.Redirect(w, result.status, result.location)
	case result.body != nil:
		web.WriteJSON(w, r, result.status, result.body)
	default:
		w.WriteHeader(result.status)
	}
}

// parameter returns a parameter of the query. It refuses a repeated one, of which
// another server could read the other value. Unknown parameters are ignored: pages add
// them against caches.
func (q *request) parameter(name string) (value string, present bool, err error) {
	values := q.URL.Query()[name]
	switch len(values) {
	case 0:
		return "", false, nil
	case 1:
		return values[0], true, nil
	}
	return "", false, invalid("the parameter " + name + " is repeated")
}
