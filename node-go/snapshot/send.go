package snapshot

import (
	"fmt"
	"io"
	"sync"

	"kvorum/node/engine"
)

// sentView is a view as a stream to read. Its goroutine ends with Close at the latest.
type sentView struct {
	*io.PipeReader
	view    engine.View
	written chan struct{}
	release func()
	once    sync.Once
	err     error
}

func sendView(view engine.View, release func()) *sentView {
	reader, writer := io.Pipe()
	v := &sentView{PipeReader: reader, view: view, written: make(chan struct{}), release: release}
	go v.write(writer)
	return v
}

func (v *sentView) write(to *io.PipeWriter) {
	defer close(v.written)
	n, err := v.view.WriteTo(to)
	if err == nil && n != v.view.Size() {
		err = fmt.Errorf("the view was announced with %d bytes and has %d", v.view.Size(), n)
	}
	to.CloseWithError(err)
}

// Close gives the view back, whether or not it has been read to its end.
func (v *sentView) Close() error {
	v.once.Do(func() {
		v.PipeReader.Close()
		<-v.written
		v.err = v.view.Close()
		v.release()
	})
	return v.err
}
