package main

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"kvorum/node/replica"
	"kvorum/node/vfs"
)

const (
	identityFile   = "identity.json"
	identityFormat = 1
	// A node id is random, made when its directory is made: an id that had other data must never come back, or votes
	// would be counted for the wrong log. 80 bits do not collide.
	nodeIDBytes = 10
	// smallFileMax bounds what is read of the small files of a data directory.
	smallFileMax = 1 << 20
)

// identity says whose data a directory holds. It is written once.
type identity struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster"`
	Shard   uint32 `json:"shard"`
	Node    string `json:"node"`
}

// openIdentity reads the directory's identity, or makes one in an empty directory.
func openIdentity(fsys vfs.FS, dir, cluster string, shard uint32) (identity, error) {
	path := filepath.Join(dir, identityFile)
	data, err := vfs.ReadFile(fsys, path, smallFileMax)
	if errors.Is(err, fs.ErrNotExist) {
		return makeIdentity(fsys, dir, cluster, shard)
	}
	if err != nil {
		return identity{}, err
	}
	var id identity
	if err := json.Unmarshal(data, &id); err != nil || id.Node == "" {
		return identity{}, faultf(exitDamaged, "%s is damaged: restore it, or replace this node by a new one", path)
	}
	if id.Format != identityFormat {
		return identity{}, faultf(exitWrongData, "%s has format %d, this version knows %d", path, id.Format, identityFormat)
	}
	if id.Cluster != cluster || id.Shard != shard {
		return identity{}, faultf(exitWrongData, "%s holds data of cluster %q shard %d, not of cluster %q shard %d",
			dir, id.Cluster, id.Shard, cluster, shard)
	}
	return id, nil
}

func makeIdentity(fsys vfs.FS, dir, cluster string, shard uint32) (identity, error) {
	for _, name := range []string{replica.LogDir, replica.SnapshotsDir, replica.EngineDir} {
		if _, err := fsys.Stat(filepath.Join(dir, name)); err == nil {
			return identity{}, faultf(exitDamaged, "%s holds data but no %s: restore it, or replace this node by a new one",
				dir, identityFile)
		}
	}
	random := make([]byte, nodeIDBytes)
	if _, err := rand.Read(random); err != nil {
		return identity{}, fmt.Errorf("make a node id: %w", err)
	}
	id := identity{
		Format: identityFormat, Cluster: cluster, Shard: shard,
		Node: strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(random)),
	}
	data, err := json.Marshal(id)
	if err != nil {
		return identity{}, fmt.Errorf("encode the identity: %w", err)
	}
	if err := vfs.WriteFile(fsys, filepath.Join(dir, identityFile), append(data, '\n')); err != nil {
		return identity{}, err
	}
	return id, nil
}
