package bitcask

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"kvorum/node/engine"
	"kvorum/node/vfs"
)

// broken is the failure after which nothing here may be believed any more, or nil.
func (e *Engine) broken() error {
	if failure := e.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}

// fail breaks the engine for good. It is for failures after which memory and disk may differ; the first one stays. A failed
// fsync must never be tried again: the kernel marks the pages clean, and the second try succeeds without writing them.
func (e *Engine) fail(op, path string, err error) error {
	failure := fmt.Errorf("engine is broken until it is opened again: %w", &engine.IOError{Op: op, Path: path, Err: err})
	if e.failure.CompareAndSwap(nil, &failure) {
		e.log.Error("engine failed", "op", op, "path", path, "error", err)
		if op == opSync {
			e.distrustTail()
		}
	}
	return e.broken()
}

const opSync = "fsync"

// distrustTail tells the next Open not to believe what it reads behind the manifest's point: it comes from the page cache,
// the disk does not have it, and that Open's own fsync would "succeed". Without the marker (the disk may refuse that too)
// the loss would be noticed later, as damage; with it, the raft log replays.
func (e *Engine) distrustTail() {
	file, err := e.fs.Create(filepath.Join(e.dir, unsyncedName))
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		e.log.Error("cannot leave a marker for the next start", "name", unsyncedName, "error", err)
	}
}

// scanDamaged is scanFailed while serving.
func (e *Engine) scanDamaged(s *segment, err error) error {
	err = scanFailed(s.path, err)
	if found := (*engine.CorruptError)(nil); errors.As(err, &found) {
		return e.damaged(s, found.Offset, found.Reason)
	}
	return err
}

// readFailed tells a file that lost its end from a failure of the file system. The latter is the operation's, not the
// engine's: nothing is known to be wrong with the data.
func (e *Engine) readFailed(s *segment, offset int64, err error) error {
	if errors.Is(err, io.EOF) {
		return e.damaged(s, offset, "file is shorter than it was")
	}
	if errors.Is(err, fs.ErrNotExist) {
		return e.damaged(s, offset, "file is missing")
	}
	return &engine.IOError{Op: "read", Path: s.path, Err: err}
}

// scanFailed is the same for a scan of a segment's synced part.
func scanFailed(path string, err error) error {
	var fault *scanFault
	if errors.As(err, &fault) {
		return &engine.CorruptError{Path: path, Offset: fault.offset, Reason: fault.reason}
	}
	if errors.Is(err, fs.ErrNotExist) {
		return &engine.CorruptError{Path: path, Reason: "file is missing"}
	}
	return &engine.IOError{Op: "read", Path: path, Err: err}
}

// damaged reports damage in a segment. The first one leaves a durable marker, so that the next Open fails too even if it
// does not read that place.
func (e *Engine) damaged(s *segment, offset int64, reason string) error {
	if err := e.broken(); err != nil {
		return err // a failed fsync explains bad bytes: they were never promised
	}
	found := &engine.CorruptError{Path: s.path, Offset: offset, Reason: reason}
	// Only an old view reads an obsolete segment: what the engine holds now is not concerned.
	if s.obsolete.Load() || !e.damage.CompareAndSwap(nil, found) {
		return found
	}
	e.log.Error("damaged data", "path", found.Path, "offset", found.Offset, "reason", found.Reason)
	path := filepath.Join(e.dir, damagedName)
	if err := vfs.WriteFile(e.fs, path, encodeMarker(found)); err != nil {
		e.fail("write", path, err)
	}
	if e.options.OnDamage != nil {
		e.options.OnDamage(found)
	}
	return found
}

const markerBytesMax = 64 << 10

// encodeMarker writes for people as well: they find it where the data was.
func encodeMarker(found *engine.CorruptError) []byte {
	text, err := json.Marshal(found)
	if err != nil {
		panic(err) // a struct of two strings and a number
	}
	return append(text, '\n')
}

// readMarker returns what an earlier run found to be damaged, or nil.
func readMarker(fsys vfs.FS, dir string) error {
	path := filepath.Join(dir, damagedName)
	text, err := vfs.ReadFile(fsys, path, markerBytesMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &engine.IOError{Op: "read", Path: path, Err: err}
	}
	found := new(engine.CorruptError)
	if json.Unmarshal(text, found) != nil {
		return &engine.CorruptError{Path: path, Reason: "marked as damaged; the marker cannot be read"}
	}
	found.Reason += " (found earlier)"
	return found
}
