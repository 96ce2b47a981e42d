package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"kvorum/node/vfs"
)

const (
	lockFile  = "LOCK"
	peersFile = "peers.json"
)

// lockDirectory makes the data directory if need be and keeps other processes out until Close.
func lockDirectory(fsys vfs.FS, dir string) (io.Closer, error) {
	if info, err := fsys.Stat(dir); err == nil && !info.IsDir {
		return nil, faultf(exitDirectory, "--data %s is a file, not a directory", dir)
	}
	if err := makeDirectory(fsys, dir); err != nil {
		return nil, directoryFault("make the data directory", err)
	}
	lock, err := fsys.Lock(filepath.Join(dir, lockFile))
	var taken *vfs.LockedError
	switch {
	case errors.As(err, &taken):
		return nil, faultf(exitDirectory, "the data directory %s is in use by process %d", dir, taken.PID)
	case err != nil:
		return nil, directoryFault("lock the data directory", err)
	}
	return lock, nil
}

// makeDirectory also makes the names of the directories that it makes durable: all that is fsynced below would be lost
// with them.
func makeDirectory(fsys vfs.FS, dir string) error {
	var made []string
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		if _, err := fsys.Stat(at); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		made = append(made, at)
	}
	if err := fsys.MkdirAll(dir); err != nil {
		return err
	}
	for _, each := range made {
		if err := fsys.SyncDir(filepath.Dir(each)); err != nil {
			return err
		}
	}
	return nil
}

func directoryFault(what string, err error) *fault {
	code := exitDirectory
	if exitCode(err) == exitIO {
		code = exitIO
	}
	return faultf(code, "%s: %w", what, err)
}

// readPeers gives what SetPeers was last told, nothing at first.
func readPeers(fsys vfs.FS, dir string) (map[string]string, error) {
	peers := make(map[string]string)
	path := filepath.Join(dir, peersFile)
	data, err := vfs.ReadFile(fsys, path, smallFileMax)
	if errors.Is(err, fs.ErrNotExist) {
		return peers, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &peers); err != nil {
		return nil, faultf(exitDamaged, "%s is damaged: remove it, peers will be told again", path)
	}
	return peers, nil
}

func writePeers(fsys vfs.FS, dir string, peers map[string]string) error {
	data, err := json.MarshalIndent(peers, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the peers: %w", err)
	}
	return vfs.WriteFile(fsys, filepath.Join(dir, peersFile), append(data, '\n'))
}
