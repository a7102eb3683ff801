package process

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// keepBytes bounds what is kept of a child's output; the stack may run for days.
const keepBytes = 16 << 20

// output takes a child's standard output and error, keeps them and hands them on line by line.
type output struct {
	log    io.Writer
	onLine func(string)

	mu      sync.Mutex
	kept    []byte
	pending []byte // the line not yet ended
}

func newOutput(log io.Writer, onLine func(string)) *output {
	return &output{log: log, onLine: onLine}
}

// Write never fails: a full terminal must not end the child.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.kept = append(o.kept, b...)
	if len(o.kept) > keepBytes {
		o.kept = append([]byte(nil), o.kept[len(o.kept)-keepBytes/2:]...)
	}
	o.pending = append(o.pending, b...)
	for {
		line, rest, found := bytes.Cut(o.pending, []byte("\n"))
		if !found {
			return len(b), nil
		}
		o.emit(string(line))
		o.pending = rest
	}
}

func (o *output) emit(line string) {
	if o.log != nil {
		_, _ = io.WriteString(o.log, line+"\n")
	}
	if o.onLine != nil {
		o.onLine(line)
	}
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.kept)
}

func (o *output) tail(lines int) string {
	all := strings.Split(strings.TrimRight(o.text(), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Prefix returns a writer that puts the name in front of each line that it is given in one Write.
func Prefix(w io.Writer, name string) io.Writer {
	if w == nil {
		return nil
	}
	return prefixed{w: w, name: name}
}

type prefixed struct {
	w    io.Writer
	name string
}

func (p prefixed) Write(b []byte) (int, error) {
	if _, err := io.WriteString(p.w, p.name+" | "+string(b)); err != nil {
		return 0, err
	}
	return len(b), nil
}
