package session

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"fmt"
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
//	the text, its UUIDs taken out, compressed with DEFLATE (RFC 1951) and the
//	    preset dictionary
//
// The text begins with what every request needs, the hot text: subject, sid,
// and header and payload of the access token. The other tokens' text and the
// claims follow; they are decompressed only when they are asked for.
//
// The dictionary belongs to the version: changing a byte of it makes a new one.
const payloadVersion = 2

// flagRotates is the payload's one flag: [Session.Rotates].
const flagRotates = 1

// maxText bounds what a payload may unfold to. Cognito's largest tokens, with
// 100 groups, have 10 KB.
const maxText = 32 << 10

//go:embed dictionary.txt
var dictionary []byte

// codec holds what is expensive to set up: the tables of (de)compression.
type codec struct {
	deflaters sync.Pool // of *deflater
	scratch   sync.Pool // of *scratch
}

type deflater struct {
	writer *flate.Writer
	out    bytes.Buffer
}

// scratch is what opening one cookie needs: buffers, and a decompressor.
type scratch struct {
	sealed   []byte // the cookie, base64url taken off; opened in place
	packed   []byte // decompressed
	text     []byte // with its UUIDs
	out      []byte // the strings of the session, one after the other
	source   bytes.Reader
	inflater io.Reader
}

func newCodec() (*codec, error) {
	if _, err := flate.NewWriterDict(io.Discard, flate.BestCompression, dictionary); err != nil {
		return nil, fmt.Errorf("preparing compression: %w", err)
	}
	c := &codec{}
	c.deflaters.New = func() any {
		d := &deflater{}
		d.writer, _ = flate.NewWriterDict(&d.out, flate.BestCompression, dictionary) // tried above
		return d
	}
	c.scratch.New = func() any {
		b := &scratch{
			sealed: make([]byte, 0, 4<<10), packed: make([]byte, 0, 4<<10),
			text: make([]byte, 0, 4<<10), out: make([]byte, 0, 6<<10),
		}
		b.inflater = flate.NewReaderDict(&b.source, dictionary)
		return b
	}
	return c, nil
}

// deflate appends text, compressed, to out.
func (c *codec) deflate(out, text []byte) []byte {
	d, ok := c.deflaters.Get().(*deflater)
	if !ok {
		return out
	}
	defer c.deflaters.Put(d)
	d.out.Reset()
	d.writer.Reset(&d.out)
	// A bytes.Buffer takes everything, so neither can fail.
	_, _ = d.writer.Write(text)
	_ = d.writer.Close()
	return append(out, d.out.Bytes()...)
}

// inflate decompresses the first n bytes.
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

// encode writes the payload of a session with these tokens; not ok is one that
// decode would not take.
func (c *codec) encode(s *Session, t secret.Tokens) (payload []byte, ok bool) {
	begun, flags := s.Begun.UnixMilli(), byte(0)
	if s.Rotates {
		flags = flagRotates
	}
	out := make([]byte, 0, 4<<10)
	out = append(out, payloadVersion)
	out = append(out, s.ID[:]...)
	out = append(out, t.NonceHash[:]...)
	out = append(out, flags)
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
	return c.deflate(out, packed), len(hot)+len(cold) <= maxText && raw <= maxText
}

// since is a time in seconds relative to begun, which is in milliseconds. 0 is
// a time that is not known, so what is not before begun counts from 1.
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

// at is the time that since came from.
func at(begun, seconds int64) time.Time {
	switch {
	case seconds == 0:
		return time.Time{}
	case seconds > 0:
		seconds--
	}
	return time.Unix(begun/1000+seconds, 0)
}

// layout is a payload's head, and what follows it.
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

// parse reads a payload's head. Its bytes were authenticated, so a fault means
// another version of this program; still nothing is trusted.
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

// decode reads what every request needs of a payload.
func decode(payload []byte, buf *scratch) (*Session, error) {
	var l layout
	if !l.parse(payload) {
		return nil, ErrUnreadable
	}
	text, ok := buf.readText(l.compressed, l.uuids[:l.hotIDs*uuidSize], l.hotLen, l.hotTextLen())
	if !ok {
		return nil, ErrUnreadable
	}
	named := l.subjectLen + l.sidLen
	out, _, _ := l.access.appendToken(append(buf.out[:0], text[:named]...), l.raw, text[named:])
	buf.out = out
	all := string(out)
	access := all[named:]
	return &Session{
		ID: l.id, Generation: l.generation, Begun: time.UnixMilli(l.begun),
		Expires: at(l.begun, l.expires), Active: at(l.begun, l.active), RefreshExpires: at(l.begun, l.refreshExpires),
		Subject: all[:l.subjectLen], SID: all[l.subjectLen:named], Rotates: l.flags&flagRotates != 0,
		Access: secret.Wrap(&access), AccessIssued: at(l.begun, l.accessIssued), AccessExpires: at(l.begun, l.accessExpires),
	}, nil
}

// decodeTokens reads all tokens of a payload.
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

// readText decompresses the head of the text and puts its UUIDs back.
func (b *scratch) readText(compressed, ids []byte, packedLen, textLen int) ([]byte, bool) {
	if !b.inflate(compressed, packedLen) {
		return nil, false
	}
	text, ok := unpackUUIDs(b.text[:0], b.packed, ids, textLen)
	if !ok || len(text) != textLen {
		return nil, false
	}
	b.text = text
	return text, true
}

// reader takes fields off a payload. After the first fault everything is zero.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(n int) []byte {
	if n < 0 || n > len(r.rest) {
		r.failed = true
		r.rest = nil
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

// length reads the length of a field, bounded so that sums cannot overflow.
func (r *reader) length() int {
	v := r.uvarint()
	if v > maxText {
		r.take(-1)
		return 0
	}
	return int(v)
}
