package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	stdsync "sync"
	"testing"

	"kvorum/node/engine"
)

var lifeTests = map[string]func(*testing.T, Factory){
	"sync tells what is durable": testSync,
	"merge keeps the content":    testMerge,
	"everything is there again":  testReopen,
	"a closed engine":            testClosed,
	"all at once":                testConcurrent,
}

func testSync(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	fill(t, e, model, 1, 10)
	if synced := sync(t, e); synced != 10 || e.Synced() != 10 {
		t.Fatalf("synced %d, %d", synced, e.Synced())
	}
	fill(t, e, model, 11, 1)
	if e.Synced() > 11 {
		t.Fatalf("synced %d", e.Synced())
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := e.Sync(ended); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if synced := sync(t, e); synced != 11 || e.Stats().Synced != 11 {
		t.Fatalf("synced %d", synced)
	}
}

func testMerge(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	for round := range uint64(4) {
		fill(t, e, model, 1+round*200, 200)
		if err := e.Merge(context.Background()); err != nil {
			t.Fatal(err)
		}
		check(t, e, model)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Merge(ended); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	check(t, e, model)
}

func testReopen(t *testing.T, f Factory) {
	if !f.Durable {
		t.Skip("not a durable engine")
	}
	dir, model := t.TempDir(), Content{}
	for round := range uint64(6) {
		e := must(f.Open(dir))(t)
		if e.Applied() != round*150 || e.Synced() != e.Applied() {
			t.Fatalf("round %d: applied %d, synced %d", round, e.Applied(), e.Synced())
		}
		check(t, e, model)
		fill(t, e, model, 1+round*150, 150)
		if round%2 == 1 {
			if err := e.Merge(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		closeIt(t, e)
	}
}

func testClosed(t *testing.T, f Factory) {
	e, model := open(t, f), Content{}
	fill(t, e, model, 1, 5)
	stream := Stream(t, e)
	closeIt(t, e)
	ctx := context.Background()
	calls := map[string]func() error{
		"Apply":   func() error { return e.Apply(batch(9, put("a", "b"))) },
		"Get":     func() error { _, _, err := e.Get([]byte("a")); return err },
		"Version": func() error { _, _, err := e.Version([]byte("a")); return err },
		"View":    func() error { _, err := e.View(); return err },
		"Sync":    func() error { _, err := e.Sync(ctx); return err },
		"Merge":   func() error { return e.Merge(ctx) },
		"Restore": func() error { _, err := e.Restore(bytes.NewReader(stream)); return err },
	}
	for name, call := range calls {
		if err := call(); !errors.Is(err, engine.ErrClosed) {
			t.Errorf("%s on a closed engine: %v", name, err)
		}
	}
}

// testConcurrent writes batches that set all keys of a row to one value, while readers look for rows that are torn, others
// merge and sync, and views are checked for consistency.
func testConcurrent(t *testing.T, f Factory) {
	const rows, columns, batches = 8, 5, 400
	e := open(t, f)
	done := make(chan struct{})
	var others stdsync.WaitGroup
	loop := func(step func() error) {
		others.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := step(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	loop(func() error { return checkRows(e, rows, columns) })
	loop(func() error { return getAll(e, rows, columns) })
	loop(func() error { return e.Merge(context.Background()) })
	loop(func() error { _, err := e.Sync(context.Background()); return err })
	for i := uint64(1); i <= batches; i++ {
		b := engine.NewBatch(i)
		for column := range columns {
			key := rowKey(int(i%rows), column)
			if i%5 == 4 {
				b.Delete(key)
			} else {
				b.Put(engine.Record{Key: key, Value: rowValue(i), Version: i})
			}
		}
		if err := e.Apply(b); err != nil {
			t.Error(err)
			break
		}
		if r, found, err := e.Get(rowKey(int(i%rows), 0)); err != nil || found != (i%5 != 4) || found && r.Version != i {
			t.Errorf("batch %d is not visible: %v %t %v", i, r, found, err)
			break
		}
	}
	close(done)
	others.Wait()
}

func rowKey(row, column int) []byte { return fmt.Appendf(nil, "row-%02d-%02d", row, column) }

func rowValue(version uint64) []byte {
	return []byte(strings.Repeat(fmt.Sprintf("%d.", version), 20))
}

func checkRows(e engine.Engine, rows, columns int) error {
	v, err := e.View()
	if err != nil {
		return err
	}
	seen := map[string][]uint64{}
	err = v.Ascend(nil, nil, func(r engine.Record) bool {
		row := string(r.Key[:len("row-00")])
		seen[row] = append(seen[row], r.Version)
		if !bytes.Equal(r.Value, rowValue(r.Version)) {
			err = fmt.Errorf("key %q has the value of another version", r.Key)
		}
		return true
	})
	for row, versions := range seen {
		if len(versions) != columns {
			err = errors.Join(err, fmt.Errorf("%s has %d columns", row, len(versions)))
		}
		for _, version := range versions {
			if version != versions[0] || version > v.Applied() {
				err = errors.Join(err, fmt.Errorf("%s is torn at %d: %v", row, v.Applied(), versions))
			}
		}
	}
	if len(seen) > rows {
		err = errors.Join(err, fmt.Errorf("%d rows", len(seen)))
	}
	return errors.Join(err, v.Close())
}

func getAll(e engine.Engine, rows, columns int) error {
	for row := range rows {
		for column := range columns {
			r, found, err := e.Get(rowKey(row, column))
			if err != nil {
				return err
			}
			if found && !bytes.Equal(r.Value, rowValue(r.Version)) {
				return fmt.Errorf("key %q has the value of another version", r.Key)
			}
		}
	}
	return nil
}
