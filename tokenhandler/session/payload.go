package session

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/flate"

	"cognito-token-handler/tokenhandler/secret"
)

// The payload of a session cookie, version 1:
//
//	version (1 byte) | session id (16) | nonce hash (4)
//	generation, begun, expires, active, access token's end, auth time (varints;
//	    times in seconds, all but begun relative to it)
//	the shapes of the access, ID and refresh token (see shape)
//	len(subject), len(claims), len(text without its UUIDs), number of UUIDs
//	    (uvarints)
//	the binary parts of the tokens, one after the other; the UUIDs
//	the text, its UUIDs taken out, compressed with DEFLATE (RFC 1951) and the
//	    preset dictionary: headers and payloads of the tokens, subject, claims
//
// The dictionary belongs to the version: changing a byte of it makes a new one.
const payloadVersion = 1

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

// inflate decompresses exactly n bytes, and refuses what holds more.
func (b *scratch) inflate(compressed []byte, n int) bool {
	b.source.Reset(compressed)
	resetter, ok := b.inflater.(flate.Resetter)
	if !ok || resetter.Reset(&b.source, dictionary) != nil {
		return false
	}
	b.packed = slices.Grow(b.packed[:0], n+1)[:n+1]
	got, err := io.ReadFull(b.inflater, b.packed)
	b.packed = b.packed[:n]
	return got == n && errors.Is(err, io.ErrUnexpectedEOF)
}

// encode writes the payload of s; not ok is one that decode would not take.
func (c *codec) encode(s *Session) (payload []byte, ok bool) {
	begun := s.Begun.Unix()
	out := make([]byte, 0, 4<<10)
	out = append(out, payloadVersion)
	out = append(out, s.ID[:]...)
	out = append(out, s.Tokens.NonceHash[:]...)
	out = binary.AppendUvarint(out, s.Generation)
	out = binary.AppendVarint(out, begun)
	for _, at := range []time.Time{s.Expires, s.Active, s.Tokens.AccessExpires, s.Tokens.AuthTime} {
		out = binary.AppendVarint(out, at.Unix()-begun)
	}
	var text, raw []byte
	for _, token := range []secret.String{s.Tokens.Access, s.Tokens.ID, s.Tokens.Refresh} {
		taken := takeApart(token.Reveal())
		out = taken.appendShape(out)
		text = append(text, taken.text...)
		raw = append(raw, taken.raw...)
	}
	text = append(append(text, s.Tokens.Subject...), s.Tokens.Claims...)
	out = binary.AppendUvarint(out, uint64(len(s.Tokens.Subject)))
	out = binary.AppendUvarint(out, uint64(len(s.Tokens.Claims)))
	packed, uuids := packUUIDs(text)
	out = binary.AppendUvarint(out, uint64(len(packed)))
	out = binary.AppendUvarint(out, uint64(len(uuids)/uuidSize))
	out = append(append(out, raw...), uuids...)
	return c.deflate(out, packed), len(text) <= maxText && len(raw) <= maxText
}

// decode reads a payload. Its bytes were authenticated, so a fault means
// another version of this program; still nothing is trusted.
func decode(payload []byte, buf *scratch) (*Session, error) {
	in := reader{rest: payload}
	if in.byte() != payloadVersion {
		return nil, ErrUnreadable
	}
	s := &Session{}
	in.copy(s.ID[:])
	in.copy(s.Tokens.NonceHash[:])
	s.Generation = in.uvarint()
	begun := in.varint()
	s.Begun = time.Unix(begun, 0)
	for _, at := range [...]*time.Time{&s.Expires, &s.Active, &s.Tokens.AccessExpires, &s.Tokens.AuthTime} {
		*at = time.Unix(begun+in.varint(), 0)
	}
	var shapes [3]shape
	rawLen, textLen := 0, 0
	for i := range shapes {
		shapes[i] = in.shape()
		rawLen += shapes[i].rawLen()
		textLen += shapes[i].textLen()
	}
	subjectLen, claimsLen, packedLen, uuids := in.length(), in.length(), in.length(), in.length()
	textLen += subjectLen + claimsLen
	raw, ids := in.take(rawLen), in.take(uuids*uuidSize)
	if in.failed || textLen > maxText || packedLen > textLen {
		return nil, ErrUnreadable
	}
	text, ok := buf.readText(in.rest, ids, packedLen, textLen)
	if !ok {
		return nil, ErrUnreadable
	}
	s.fill(shapes, raw, text, subjectLen, buf)
	return s, nil
}

// readText decompresses the text and puts its UUIDs back.
func (b *scratch) readText(compressed, ids []byte, packedLen, textLen int) ([]byte, bool) {
	if !b.inflate(compressed, packedLen) {
		return nil, false
	}
	if len(ids) == 0 {
		return b.packed, packedLen == textLen
	}
	text, ok := unpackUUIDs(b.text[:0], b.packed, ids, textLen)
	if !ok || len(text) != textLen {
		return nil, false
	}
	b.text = text
	return text, true
}

// fill puts the strings of s together: one allocation holds all of them.
func (s *Session) fill(shapes [3]shape, raw, text []byte, subjectLen int, buf *scratch) {
	out := buf.out[:0]
	var ends [3]int
	for i := range shapes {
		out, raw, text = shapes[i].appendToken(out, raw, text)
		ends[i] = len(out)
	}
	subjectEnd := ends[2] + subjectLen
	out = append(out, text...)
	buf.out = out

	all := string(out)
	tokens := &[3]string{all[:ends[0]], all[ends[0]:ends[1]], all[ends[1]:ends[2]]}
	s.Tokens.Access, s.Tokens.ID, s.Tokens.Refresh = secret.Wrap(&tokens[0]), secret.Wrap(&tokens[1]), secret.Wrap(&tokens[2])
	s.Tokens.Subject, s.Tokens.Claims = all[ends[2]:subjectEnd], all[subjectEnd:]
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
