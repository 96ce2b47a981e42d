package snapshot

import (
	"errors"
	"fmt"

	"kvorum/node/engine"
	"kvorum/node/vfs"
)

var (
	errSinkEnded = errors.New("the snapshot is finished or cancelled")
	// errSuperseded: a newer snapshot was installed while this one was taken. Raft would otherwise take this one for
	// its newest, and forget that its log ends later.
	errSuperseded = errors.New("a newer snapshot was installed meanwhile")
)

// sink is a snapshot in the making: either KeepInEngine is called, or a stream is written to it. Not safe for
// concurrent use.
type sink struct {
	store  *Store
	record record
	file   vfs.File // nil before the first Write
	ended  bool
	err    error // of Close
}

func (k *sink) ID() string { return k.record.id }

// KeepInEngine makes this a snapshot whose content is what the engine holds. The caller has made durable everything
// up to applied, and the snapshot needs no more than that.
func (k *sink) KeepInEngine(applied uint64) error {
	if k.ended || k.file != nil {
		return fmt.Errorf("keep snapshot %s in the engine: %w", k.record.id, errSinkEnded)
	}
	k.record.source, k.record.needs = inEngine, applied
	return nil
}

// Write takes the next bytes of a stream that another node sends.
func (k *sink) Write(data []byte) (int, error) {
	if k.ended || k.record.source == inEngine {
		return 0, fmt.Errorf("write snapshot %s: %w", k.record.id, errSinkEnded)
	}
	if k.file == nil {
		file, err := k.store.fs.Create(k.tempPath())
		if err != nil {
			return 0, fmt.Errorf("write snapshot %s: %w", k.record.id, err)
		}
		k.file, k.record.source = file, inStream
	}
	n, err := k.file.Write(data)
	k.record.streamBytes += int64(n)
	if err != nil {
		return n, fmt.Errorf("write snapshot %s: %w", k.record.id, err)
	}
	return n, nil
}

// Close makes the snapshot durable, in one step, with its metadata. On an error there is none. Closing again returns the
// same.
func (k *sink) Close() error {
	if k.ended {
		return k.err
	}
	k.ended = true
	if err := k.finish(); err != nil {
		k.err = fmt.Errorf("finish snapshot %s: %w", k.record.id, err)
		k.discard()
		return k.err
	}
	k.store.add(k.record)
	return nil
}

func (k *sink) finish() error {
	switch k.record.source {
	case inEngine:
		if newest, ok := k.store.Newest(); ok && newest.Index > k.record.raft.Index {
			return errSuperseded
		}
	case inStream:
		if err := k.finishStream(); err != nil {
			return err
		}
	default:
		return errors.New("it has no content")
	}
	return vfs.WriteFile(k.store.fs, k.store.metaPath(k.record.id), k.record.encode())
}

// finishStream makes the stream durable, and gives it its name, which becomes durable together with that of the metadata.
// Only the header is checked here; the engine checks all of it.
func (k *sink) finishStream() error {
	if err := k.file.Sync(); err != nil {
		return err
	}
	if err := k.file.Close(); err != nil {
		return err
	}
	file, err := k.store.fs.Open(k.tempPath())
	if err != nil {
		return err
	}
	defer file.Close()
	stream, err := engine.NewStreamReader(file)
	if err != nil {
		return err
	}
	k.record.needs = stream.Applied()
	return k.store.fs.Rename(k.tempPath(), k.store.streamPath(k.record.id))
}

// Cancel removes what has been written. After Close it does nothing.
func (k *sink) Cancel() error {
	if k.ended {
		return nil
	}
	k.ended, k.err = true, errSinkEnded
	k.discard()
	return nil
}

// discard takes back a snapshot that will not be. What it cannot remove durably is a leftover for the next start; or,
// if the metadata made it to the disk after all, a snapshot that raft has made no use of, and may: FinishRestore sorts
// it out.
func (k *sink) discard() {
	if k.file != nil {
		k.file.Close() // for the second time if finishing has failed later
	}
	paths := []string{k.store.metaPath(k.record.id), k.store.metaPath(k.record.id) + vfs.TempSuffix}
	if k.file != nil {
		paths = append(paths, k.store.streamPath(k.record.id), k.tempPath())
	}
	for _, path := range paths {
		_ = k.store.fs.Remove(path)
	}
}

func (k *sink) tempPath() string { return k.store.streamPath(k.record.id) + vfs.TempSuffix }
