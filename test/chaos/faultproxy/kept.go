package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// Kept is what a proxy that outlives its starter leaves in a file: for `launch` and people's tools, which look for where it
// takes orders, and for the proxy after it, because the nodes go on when one has died.
type Kept struct {
	Control string       `json:"control"`
	PID     int          `json:"pid"`
	Routes  []RouteOrder `json:"routes"`
}

var errInUse = errors.New("another proxy runs on this file")

// keeper owns the file: as long as it is open, no other proxy takes the same one.
type keeper struct {
	path    string
	control string
	lock    *os.File
}

// openKeeper gives what the proxy before has left as well. The kernel drops the lock however its owner ends.
func openKeeper(path string) (*keeper, []RouteOrder, error) {
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("open the lock: %w", err)
	}
	k := &keeper{path: path, lock: lock}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%w: %s: %w", errInUse, path, err), lock.Close())
	}
	kept, err := readKept(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, errors.Join(err, lock.Close())
	}
	return k, kept.Routes, nil
}

// write is done when whoever reads the file finds these routes. It takes the place of the file at once, so that nobody reads half of it.
func (k *keeper) write(routes []RouteOrder) error {
	content, err := json.Marshal(Kept{Control: k.control, PID: os.Getpid(), Routes: routes})
	if err != nil {
		return fmt.Errorf("encode the routes: %w", err)
	}
	fresh := k.path + ".new"
	if err := os.WriteFile(fresh, content, 0o644); err != nil {
		return fmt.Errorf("keep the routes: %w", err)
	}
	if err := os.Rename(fresh, k.path); err != nil {
		return fmt.Errorf("keep the routes: %w", err)
	}
	return nil
}

// remove says that this proxy has ended as it was asked to, with nodes that have ended before it.
func (k *keeper) remove() error {
	return errors.Join(os.Remove(k.path), k.lock.Close())
}

func readKept(path string) (Kept, error) {
	var kept Kept
	content, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return kept, fmt.Errorf("read what the proxy has left: %w", err)
	}
	if err := json.Unmarshal(content, &kept); err != nil {
		return kept, fmt.Errorf("read what the proxy has left in %s: %w", path, err)
	}
	return kept, nil
}
