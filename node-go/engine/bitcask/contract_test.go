package bitcask_test

import (
	"testing"

	"kvorum/node/engine"
	"kvorum/node/engine/bitcask"
	"kvorum/node/engine/enginetest"
)

func TestContract(t *testing.T) {
	for name, options := range map[string]bitcask.Options{
		"small":   {SegmentBytes: 4 << 10, SyncBytes: 1 << 10, OpenFiles: 2},
		"default": {},
	} {
		t.Run(name, func(t *testing.T) {
			enginetest.Run(t, enginetest.Factory{Durable: true, Open: func(dir string) (engine.Engine, error) {
				return bitcask.Open(dir, options)
			}})
		})
	}
}

func TestProperty(t *testing.T) {
	options := bitcask.Options{SegmentBytes: 4 << 10, SyncBytes: 2 << 10, OpenFiles: 3}
	enginetest.RunProperty(t, enginetest.Factory{Durable: true, Open: func(dir string) (engine.Engine, error) {
		return bitcask.Open(dir, options)
	}})
}
