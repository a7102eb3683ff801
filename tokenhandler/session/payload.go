package session

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"encoding/json"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/flate"

	"cognito-token-handler/tokenhandler/secret"
)

// The payload of a session cookie, version 2:
//
//	version (1 byte) | session id (16) | nonce hash (4) | flags (1)
//	generation, begun in milliseconds, expires, active, the access token's
//	    beginning and end, the refresh token's end, auth time (varints; all but
//	    begun in seconds relative to it, 0 for a time that is not known)
//	the shapes of the access, ID and refresh token (see shape)
//	len(subject), len(sid), len(claims), len(hot text), len(text), number of
//	    UUIDs in the hot text, in the text (uvarints; the texts without their UUIDs)
//	the binary parts of the tokens, one after the other; the UUIDs
//	the text without its UUIDs, compressed with DEFLATE (RFC 1951) and the preset
//	    dictionary
//
// The text begins with the hot text, which every request needs: the subject, the
// sid, and header and payload of the access token. The text of the other tokens
// and the claims follow; they are decompressed only when they are asked for.
//
// The dictionary belongs to the version: a change of one byte needs a new version.
const payloadVersion = 2

// flagRotates and flagPartial are the bits of the flags that hold [Session.Rotates] and
// [Session.Partial].
const (
	flagRotates = 1 << iota
	flagPartial
)

// maxText is the largest size of a payload's text after decompression. Cognito's
// largest tokens, with 100 groups, have 10 KB.
const maxText = 32 << 10

//go:embed dictionary.txt
var dictionary []byte

// deflater compresses one payload.
type deflater struct {
	writer *flate.Writer
	out    bytes.Buffer
}

// scratch is the memory for decoding one payload, and a decompressor.
type scratch struct {
	packed   []byte // the decompressed text, without its UUIDs
	text     []byte // the text with its UUIDs
	out      []byte // the session's strings, one after the other
	source   bytes.Reader
	inflater io.Reader
}

// The tables of a compressor and of a decompressor are expensive to set up.
//
//nolint:gochecknoglobals // pools
var (
	deflaters = sync.Pool{New: func() any { // of *deflater
		d := &deflater{}
		d.writer, _ = flate.NewWriterDict(&d.out, flate.BestCompression, dictionary) // fails only for an unknown level
		return d
	}}
	scratches = sync.Pool{New: func() any { // of *scratch
		b := &scratch{packed: make([]byte, 0, 4<<10), text: make([]byte, 0, 4<<10), out: make([]byte, 0, 6<<10)}
		b.inflater = flate.NewReaderDict(&b.source, dictionary)
		return b
	}}
)

// deflate appends the compressed text to out.
func deflate(out, text []byte) []byte {
	d, _ := deflaters.Get().(*deflater) // nothing else is in the pool
	defer deflaters.Put(d)
	d.out.Reset()
	d.writer.Reset(&d.out)
	// Writing to a bytes.Buffer never fails.
	_, _ = d.writer.Write(text)
	_ = d.writer.Close()
	return append(out, d.out.Bytes()...)
}

// inflate decompresses the first n bytes into b.packed.
func (b *scratch) inflate(compressed []byte, n int) bool {
	b.source.Reset(compressed)
	resetter, ok := b.inflater.(flate.Resetter)
	if !ok || resetter.Reset(&b.source, dictionary) != nil {
		return false
	}
	b.packed = slices.Grow(b.packed[:0], n)[:n]
	_, err := io.ReadFull(b.inflater, b.packed)
	return err == nil
}

// encode makes the payload of a session with these tokens. It is not ok if decode
// would refuse the payload, because it holds too much text.
func encode(s *Session, t secret.Tokens) (payload []byte, ok bool) {
	begun := s.Begun.UnixMilli()
	out := make([]byte, 0, 4<<10)
	out = append(out, payloadVersion)
	out = append(out, s.ID[:]...)
	out = append(out, t.NonceHash[:]...)
	out = append(out, flags(s))
	out = binary.AppendUvarint(out, s.Generation)
	out = binary.AppendVarint(out, begun)
	for _, at := range []time.Time{s.Expires, s.Active, s.AccessIssued, t.AccessExpires, s.RefreshExpires, t.AuthTime} {
		out = binary.AppendVarint(out, since(begun, at))
	}
	access, id, refresh := takeApart(t.Access.Reveal()), takeApart(t.ID.Reveal()), takeApart(t.Refresh.Reveal())
	for _, token := range []apart{access, id, refresh} {
		out = token.appendShape(out)
	}
	hot := slices.Concat([]byte(t.Subject), []byte(t.SID), access.text)
	cold := slices.Concat(id.text, refresh.text, []byte(t.Claims))
	var p packer
	packed := p.pack(nil, hot)
	hotLen, hotIDs := len(packed), p.count()
	packed = p.pack(packed, cold)
	for _, n := range []int{len(t.Subject), len(t.SID), len(t.Claims), hotLen, len(packed), hotIDs, p.count()} {
		out = binary.AppendUvarint(out, uint64(n)) //nolint:gosec // lengths are not negative
	}
	out = append(out, slices.Concat(access.raw, id.raw, refresh.raw, p.uuids)...)
	raw := len(access.raw) + len(id.raw) + len(refresh.raw)
	return deflate(out, packed), len(hot)+len(cold) <= maxText && raw <= maxText
}

// flags returns the flags of a session's payload.
func flags(s *Session) (set byte) {
	if s.Rotates {
		set |= flagRotates
	}
	if s.Partial {
		set |= flagPartial
	}
	return set
}

// since is a time in seconds relative to begun, which is in milliseconds. 0 means
// a time that is not known, so the second of begun itself is 1.
func since(begun int64, at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	seconds := at.Unix() - begun/1000
	if seconds >= 0 {
		seconds++
	}
	return seconds
}

// at is the inverse of since.
func at(begun, seconds int64) time.Time {
	switch {
	case seconds == 0:
		return time.Time{}
	case seconds > 0:
		seconds--
	}
	return time.Unix(begun/1000+seconds, 0)
}

// layout is a parsed payload: the fields of its head, and the parts after it.
type layout struct {
	nonceHash                                             [4]byte
	id                                                    ID
	generation                                            uint64
	flags                                                 byte
	begun, expires, active                                int64
	accessIssued, accessExpires, refreshExpires, authTime int64
	access, idToken, refresh                              shape
	subjectLen, sidLen, claimsLen                         int
	hotLen, packedLen, hotIDs, ids                        int

	raw, uuids, compressed []byte
}

// parse parses a payload. Its bytes were authenticated, so that it is malformed
// only if another version of this program wrote it; all lengths are checked
// nevertheless.
func (l *layout) parse(payload []byte) bool {
	in := reader{rest: payload}
	if in.byte() != payloadVersion {
		return false
	}
	in.copy(l.id[:])
	in.copy(l.nonceHash[:])
	l.flags = in.byte()
	l.generation = in.uvarint()
	l.begun = in.varint()
	for _, relative := range [...]*int64{&l.expires, &l.active, &l.accessIssued, &l.accessExpires, &l.refreshExpires, &l.authTime} {
		*relative = in.varint()
	}
	l.access, l.idToken, l.refresh = in.shape(), in.shape(), in.shape()
	for _, n := range [...]*int{&l.subjectLen, &l.sidLen, &l.claimsLen, &l.hotLen, &l.packedLen, &l.hotIDs, &l.ids} {
		*n = in.length()
	}
	l.raw = in.take(l.access.rawLen() + l.idToken.rawLen() + l.refresh.rawLen())
	l.uuids = in.take(l.ids * uuidSize)
	l.compressed = in.rest
	return !in.failed && l.hotLen <= l.packedLen && l.hotIDs <= l.ids && l.textLen() <= maxText && l.packedLen <= l.textLen()
}

func (l *layout) hotTextLen() int { return l.subjectLen + l.sidLen + l.access.textLen() }

func (l *layout) textLen() int {
	return l.hotTextLen() + l.idToken.textLen() + l.refresh.textLen() + l.claimsLen
}

// decode decodes the parts of a payload that every request needs. It sets
// authorization to "Bearer " and the access token, and s.Access points to that.
func decode(payload []byte, buf *scratch, s *Session, authorization *string) error {
	var l layout
	if !l.parse(payload) {
		return ErrUnreadable
	}
	text, ok := buf.readText(l.compressed, l.uuids[:l.hotIDs*uuidSize], l.hotLen, l.hotTextLen())
	if !ok {
		return ErrUnreadable
	}
	named := l.subjectLen + l.sidLen
	out := append(append(buf.out[:0], text[:named]...), "Bearer "...)
	out, _, _ = l.access.appendToken(out, l.raw, text[named:])
	buf.out = out
	all := string(out)
	*authorization = all[named:]
	*s = Session{
		ID: l.id, Generation: l.generation, Begun: time.UnixMilli(l.begun),
		Expires: at(l.begun, l.expires), Active: at(l.begun, l.active), RefreshExpires: at(l.begun, l.refreshExpires),
		Subject: all[:l.subjectLen], SID: all[l.subjectLen:named],
		Renewable: l.refresh.kind != shapeNone, Rotates: l.flags&flagRotates != 0, Partial: l.flags&flagPartial != 0,
		Access: secret.WrapBearer(authorization), AccessIssued: at(l.begun, l.accessIssued), AccessExpires: at(l.begun, l.accessExpires),
	}
	return nil
}

// decodeTokens decodes all tokens of a payload.
func decodeTokens(payload []byte, buf *scratch) (secret.Tokens, error) {
	var l layout
	if !l.parse(payload) {
		return secret.Tokens{}, ErrUnreadable
	}
	text, ok := buf.readText(l.compressed, l.uuids, l.packedLen, l.textLen())
	if !ok {
		return secret.Tokens{}, ErrUnreadable
	}
	t := secret.Tokens{
		Subject: string(text[:l.subjectLen]), SID: string(text[l.subjectLen : l.subjectLen+l.sidLen]),
		Claims: string(text[len(text)-l.claimsLen:]), NonceHash: l.nonceHash,
		AccessExpires: at(l.begun, l.accessExpires), AuthTime: at(l.begun, l.authTime),
	}
	if t.Claims != "" && (t.Claims[0] != '{' || !json.Valid([]byte(t.Claims))) {
		return secret.Tokens{}, ErrUnreadable // they become a part of JSON answers
	}
	if l.refresh.kind != shapeNone {
		t.RefreshExpires = at(l.begun, l.refreshExpires)
	}
	raw, rest := l.raw, text[l.subjectLen+l.sidLen:]
	for _, token := range []struct {
		shape *shape
		into  *secret.String
	}{{&l.access, &t.Access}, {&l.idToken, &t.ID}, {&l.refresh, &t.Refresh}} {
		var out []byte
		out, raw, rest = token.shape.appendToken(nil, raw, rest)
		*token.into = secret.New(string(out))
	}
	return t, nil
}

// readText decompresses the first packedLen bytes of the text and puts its UUIDs
// back. The result must have textLen bytes.
func (b *scratch) readText(compressed, ids []byte, packedLen, textLen int) ([]byte, bool) {
	if !b.inflate(compressed, packedLen) {
		return nil, false
	}
	text, ok := unpackUUIDs(b.text[:0], b.packed, ids, textLen)
	b.text = text
	return text, ok
}

// reader reads the fields of a payload one after the other. After the first
// malformed field it has failed, and further fields mean nothing.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.failed = true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) byte() byte {
	if b := r.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) copy(dst []byte) { copy(dst, r.take(len(dst))) }

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.take(-1)
		return 0
	}
	r.take(n)
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.take(-1)
		return 0
	}
	r.take(n)
	return v
}

// length reads the length of a field. It is bounded, so that sums of lengths
// cannot overflow.
func (r *reader) length() int {
	v := r.uvarint()
	if v > maxText {
		r.take(-1)
		return 0
	}
	return int(v)
}
