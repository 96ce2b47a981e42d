package main

import (
	"bytes"
	"testing"
)

// The orchestrator reads it, of programs of any version (orchestrator/control/drivers/program.ts).
func TestVersionSaysWhichFormatsAreKnown(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--version"}, version + "\ncommand formats 1-3\n"},
		{[]string{"--version", "--format-max", "1"}, version + "\ncommand formats 1-1\n"},
	} {
		var out, errs bytes.Buffer
		if code := run(c.args, &out, &errs); code != exitClean || out.String() != c.says {
			t.Errorf("%v: exit code %d, got %q, want %q; %s", c.args, code, out.String(), c.says, errs.String())
		}
	}
}
