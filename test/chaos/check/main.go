// Command check reads the history of a chaos run and tells of each key whether it is linearizable. It prints one JSON
// object. Exit codes: 0 it has looked at everything (whatever it found), 2 wrong usage, 3 it could not.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	path := flag.String("history", "", "the history, JSON lines")
	pictures := flag.String("pictures", ".", "folder for the picture of each violation")
	perKey := flag.Duration("per-key", 20*time.Second, "how long the search for one key may take")
	owned := flag.Bool("with-owner", false, "end when standard input does: whoever asks is gone then")
	flag.Parse()
	if *owned {
		// Owned by the process: a read of standard input cannot be called back.
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(1)
		}()
	}
	if *path == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(*path, options{perKey: *perKey, pictures: *pictures}); err != nil {
		fmt.Fprintf(os.Stderr, "check: %v\n", err)
		os.Exit(3)
	}
}

func run(path string, o options) (err error) {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open the history: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	read, err := readHistory(file)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	found, err := check(read, o)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(found)
}
