package fsm

import (
	"errors"
	"strconv"
	"sync"
	"testing"

	"kvorum/node/engine"
	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	errpb "kvorum/node/gen/errors"
)

// keyIn finds a key of a partition.
func keyIn(t *testing.T, number uint16) string {
	t.Helper()
	for i := range 1 << 20 {
		if key := strconv.Itoa(i); command.Partition([]byte(key)) == number {
			return key
		}
	}
	t.Fatalf("no key in partition %d", number)
	return ""
}

func TestGetRefuses(t *testing.T) {
	f := newFSM(t, memory.New())
	apply(t, f, 1, assign(5, span(0, 0)))
	_, _, err := f.Get([]byte(keyIn(t, 1)))
	if e := requireCode(t, err, errpb.ErrorCode_ERROR_CODE_WRONG_SHARD); e.Epoch != 5 || e.Outcome != errpb.Outcome_OUTCOME_NOT_APPLIED {
		t.Fatalf("%+v", e)
	}
	_, _, err = f.Get(nil)
	requireCode(t, err, errpb.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	_, _, err = f.Get(make([]byte, KeyBytesMax+1))
	requireCode(t, err, errpb.ErrorCode_ERROR_CODE_TOO_LARGE)
}

func TestGetSaysWhenBytesAreDamaged(t *testing.T) {
	e := &broken{Engine: owner(t).engine}
	f := newFSM(t, e)
	e.get = &engine.CorruptError{Path: "file", Reason: "checksum"}
	_, _, err := f.Get([]byte("k"))
	requireCode(t, err, errpb.ErrorCode_ERROR_CODE_CORRUPT)
	e.get = errors.New("input/output error")
	_, _, err = f.Get([]byte("k"))
	requireCode(t, err, errpb.ErrorCode_ERROR_CODE_INTERNAL)
}

// The read is held between its look at the table and its look at the engine, while the partition is released.
func TestNoReadAfterARelease(t *testing.T) {
	e := &broken{Engine: owner(t).engine}
	f := newFSM(t, e)
	apply(t, f, 2, writes(put("k", "v")))
	e.onGet = func() {
		e.onGet = nil
		release(t, f, 2, all())
	}
	record, found, err := f.Get([]byte("k"))
	if err == nil {
		t.Fatalf("read %v (%v) of a partition that was released before the engine was read", record, found)
	}
	requireCode(t, err, errpb.ErrorCode_ERROR_CODE_WRONG_SHARD)
}

// Readers learn of ownership after the data is there, and before the command is answered.
func TestOwnershipIsPublishedAfterTheData(t *testing.T) {
	e := &broken{Engine: memory.New()}
	f := newFSM(t, e)
	e.onApply = func() {
		if epoch := f.OwnershipEpoch(); epoch != 0 {
			t.Errorf("epoch %d is published before the engine has it", epoch)
		}
	}
	apply(t, f, 1, everything(1))
	if epoch := f.OwnershipEpoch(); epoch != 1 {
		t.Errorf("epoch %d after the answer", epoch)
	}
}

// A partition that was released and has come back meanwhile, with other content: the read must be of now, not of in between.
func TestAReadAcrossAReleaseAndAReturnIsOfNow(t *testing.T) {
	e := &broken{Engine: owner(t).engine}
	f := newFSM(t, e)
	looks := 0
	e.onGet = func() {
		if looks++; looks == 1 {
			e.onGet = nil
			release(t, f, 2, all())
			regain(t, f, 3, all())
		}
		e.onGet = func() {
			e.onGet = nil
			looks++
		}
	}
	if _, _, err := f.Get([]byte("k")); err != nil {
		t.Fatal(err)
	}
	if looks != 2 {
		t.Fatalf("the engine was read %d times, want 2", looks)
	}
}

// Readers beside a writer that moves a value and ownership together: with -race, and no value from a foreign time.
func TestReadersSeeOwnershipAndDataTogether(t *testing.T) {
	f := owner(t)
	key := "k"
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		readers.Add(1)
		go func() {
			defer readers.Done()
			last := uint64(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				record, _, err := f.Get([]byte(key))
				if err == nil && record.Version < last {
					t.Errorf("version %d after %d", record.Version, last)
					return
				}
				last = max(last, record.Version)
			}
		}()
	}
	epoch := uint64(1)
	for range 40 {
		applyNext(t, f, writes(put(key, "v")))
		release(t, f, epoch+1, all())
		regain(t, f, epoch+2, all(), record(key, "v", f.state.applied))
		epoch += 2
	}
	close(stop)
	readers.Wait()
}
