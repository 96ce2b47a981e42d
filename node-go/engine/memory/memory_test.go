package memory_test

import (
	"testing"

	"kvorum/node/engine"
	"kvorum/node/engine/enginetest"
	"kvorum/node/engine/memory"
)

func TestContract(t *testing.T) {
	enginetest.Run(t, enginetest.Factory{Open: func(string) (engine.Engine, error) { return memory.New(), nil }})
}

func TestProperty(t *testing.T) {
	enginetest.RunProperty(t, enginetest.Factory{Open: func(string) (engine.Engine, error) { return memory.New(), nil }})
}
