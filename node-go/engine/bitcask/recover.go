package bitcask

import (
	"errors"
	"path/filepath"
	"slices"

	"kvorum/node/engine"
	"kvorum/node/vfs"
)

// recovery reads what the disk holds and changes nothing. What must be changed is done afterwards, in settle.
type recovery struct {
	*contents
	manifest *manifest // nil in a new directory
	files    files
	hinted   map[uint32]bool
	tail     []*segment // the head and the log segments that continue it; empty when there is no head yet
	cut      bool       // the last of tail is longer than its good batches
	distrust bool       // an fsync failed in an earlier run: see distrustTail
}

// files are the names in the directory that are ours.
type files struct {
	segments []uint32
	hints    []uint32
	leftover []string // temporary files
	greatest uint32   // id of any file
}

func recoverContents(fs vfs.FS, dir string) (*recovery, error) {
	if err := readMarker(fs, dir); err != nil {
		return nil, err
	}
	r := &recovery{contents: newContents(fs, dir), hinted: map[uint32]bool{}}
	if err := r.listFiles(); err != nil {
		return nil, err
	}
	if err := r.readManifest(); err != nil || r.manifest == nil {
		return r, err
	}
	for _, listed := range r.manifest.sealed {
		hinted, err := r.loadSealed(listed)
		if err != nil {
			return nil, err
		}
		r.hinted[listed.id] = hinted
	}
	r.applied = r.manifest.applied
	return r, r.loadTail()
}

func (r *recovery) listFiles() error {
	names, err := r.fs.List(r.dir)
	if err != nil {
		return &engine.IOError{Op: "list", Path: r.dir, Err: err}
	}
	for _, name := range names {
		id, suffix, ours := parseName(name)
		switch {
		case name == unsyncedName:
			r.distrust = true
			r.files.leftover = append(r.files.leftover, name)
			continue
		case name == manifestName+vfs.TempSuffix, name == damagedName+vfs.TempSuffix:
			r.files.leftover = append(r.files.leftover, name)
			continue
		case !ours:
			continue
		case suffix == segmentSuffix:
			r.files.segments = append(r.files.segments, id)
		case suffix == hintSuffix:
			r.files.hints = append(r.files.hints, id)
		default:
			r.files.leftover = append(r.files.leftover, name)
		}
		r.files.greatest = max(r.files.greatest, id)
	}
	return nil
}

// readManifest leaves it nil in a directory that never had one. The manifest is durable before any segment is created, so
// segments without a manifest mean that it was lost.
func (r *recovery) readManifest() error {
	path := filepath.Join(r.dir, manifestName)
	data, err := vfs.ReadFile(r.fs, path, manifestBytesMax)
	if isNotExist(err) {
		if len(r.files.segments) > 0 {
			return &engine.CorruptError{Path: path, Reason: "file is missing, though there are segments"}
		}
		return nil
	}
	if err != nil {
		return &engine.IOError{Op: "read", Path: path, Err: err}
	}
	m, reason := decodeManifest(data)
	if reason != "" {
		return &engine.CorruptError{Path: path, Reason: reason}
	}
	r.manifest = m
	return nil
}

// loadTail reads the head, whose first part was promised, and what follows it.
func (r *recovery) loadTail() error {
	head := &segment{id: r.manifest.headID, kind: kindLog, path: segmentPath(r.dir, r.manifest.headID)}
	file, header, err := openSegment(r.fs, head.path, head.id)
	if file != nil {
		defer file.Close()
	}
	if r.manifest.headEnd == 0 && (r.distrust || headIsNew(header, err, r.applied)) {
		return nil
	}
	if err != nil {
		return scanFailed(head.path, err)
	}
	if err := r.loadPromised(head, file, header); err != nil {
		return err
	}
	if err := r.loadUnpromised(head, file, header); err != nil {
		return err
	}
	for !r.cut && !r.distrust {
		found, err := r.continueTail()
		if err != nil || !found {
			return err
		}
	}
	return nil
}

// headIsNew says that nothing of the head has got to the disk, so that it is to be created (again).
func headIsNew(header segmentHeader, err error, applied uint64) bool {
	var fault *scanFault
	return isNotExist(err) || errors.As(err, &fault) || err == nil && (header.kind != kindLog || header.prevApplied != applied)
}

// loadPromised reads the part of the head that the manifest vouches for: anything wrong there is damage.
func (r *recovery) loadPromised(head *segment, file vfs.File, header segmentHeader) error {
	r.add(head)
	head.bytes, head.overhead = segmentHeaderBytes, segmentHeaderBytes
	end := int64(r.manifest.headEnd)
	if end == 0 {
		return nil
	}
	size, err := file.Size()
	if err != nil {
		return scanFailed(head.path, err)
	}
	if size < end {
		return &engine.CorruptError{Path: head.path, Offset: size, Reason: "file is shorter than what was made durable"}
	}
	batches := scanBatches(file, header, segmentHeaderBytes, end, header.prevApplied)
	if err := r.replay(head, batches); err != nil {
		return scanFailed(head.path, err)
	}
	if header.kind != kindLog || batches.applied != r.manifest.applied {
		return &engine.CorruptError{Path: head.path, Offset: end, Reason: "applied index is not the manifest's"}
	}
	head.bytes = end
	return nil
}

// loadUnpromised reads on to the end of the file, or to the first place where there is no good batch: a torn tail, or a hole
// that a power cut left before later pages. What follows a hole is not used: the raft log has all of it, in order.
func (r *recovery) loadUnpromised(s *segment, file vfs.File, header segmentHeader) error {
	r.tail = append(r.tail, s)
	size, err := file.Size()
	if err != nil {
		return scanFailed(s.path, err)
	}
	if r.distrust {
		r.cut = size > s.bytes
		return nil
	}
	batches := scanBatches(file, header, s.bytes, size, r.applied)
	err = r.replay(s, batches)
	s.bytes, r.applied = batches.end, batches.applied
	var fault *scanFault
	if errors.As(err, &fault) {
		r.cut = true
		return nil
	}
	if err != nil {
		return scanFailed(s.path, err)
	}
	return nil
}

// continueTail looks for the segment that goes on exactly where the last one ends. One that says otherwise belongs to an end
// that is lost.
func (r *recovery) continueTail() (bool, error) {
	last := r.tail[len(r.tail)-1]
	for _, id := range r.files.segments {
		if id < r.manifest.nextID || r.byID[id] != nil {
			continue
		}
		path := segmentPath(r.dir, id)
		file, header, err := openSegment(r.fs, path, id)
		var fault *scanFault
		if errors.As(err, &fault) {
			continue
		}
		if err != nil {
			return false, scanFailed(path, err)
		}
		if header.kind != kindLog || header.prevID != last.id || int64(header.prevEnd) != last.bytes || header.prevApplied != r.applied {
			if err := file.Close(); err != nil {
				return false, scanFailed(path, err)
			}
			continue
		}
		s := &segment{id: id, kind: kindLog, path: path, bytes: segmentHeaderBytes, overhead: segmentHeaderBytes}
		r.add(s)
		return true, errors.Join(r.loadUnpromised(s, file, header), file.Close())
	}
	return false, nil
}

// garbage names the files that belong to nothing.
func (r *recovery) garbage() []string {
	names := slices.Clone(r.files.leftover)
	for _, id := range r.files.segments {
		if r.byID[id] == nil {
			names = append(names, filepath.Base(segmentPath(r.dir, id)))
		}
	}
	for _, id := range r.files.hints {
		if _, sealed := r.hinted[id]; !sealed {
			names = append(names, filepath.Base(hintPath(r.dir, id)))
		}
	}
	return names
}
