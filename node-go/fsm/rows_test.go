package fsm

import (
	"encoding/hex"
	"testing"

	"kvorum/node/engine"
	"kvorum/node/engine/memory"
	"kvorum/node/fsm/command"
	errpb "kvorum/node/gen/errors"
)

// Engines hold these bytes for years, and streams carry them between versions. A change here is a change of the format.
func TestRowsGolden(t *testing.T) {
	f := newFSM(t, memory.New())
	c := assign(0x1234, span(258, 258))
	c.StampMs = 0x18bcfe56800
	apply(t, f, 5, c)
	key := keyIn(t, 258)
	apply(t, f, 6, writes(put(key, "v"), put(key, "w"), remove(key), put("{"+key+"}", "x"), open(0x0102030405060708, 60_000)))
	id := sessionID(0x0102030405060708, 6)
	apply(t, f, 7, once(id, 2, 3, add("{"+key+"}", "y")))
	apply(t, f, 8, once(id, 2, 300, put("elsewhere", "v")))
	want := map[string]string{
		"0100":     "01" + "01000000" + "0068e5cf8b010000" + "0800000000000000" + "0100000000000000",
		"0101":     "3412000000000000",
		"01020102": "01" + "3412000000000000" + "0200000000000000",
		"02" + hex.EncodeToString([]byte("{"+key+"}")): hex.EncodeToString([]byte("xy")),
		"03" + "0102030405060708" + "0000000000000006": "60ea0000" + "0068e5cf8b010000" + "0200000000000000" +
			"01" + "03" + "8202" + "00" + "04" + "02" + "a902" + "01" + "ff02" + "04" + "b424" + "00",
	}
	view, err := f.engine.View()
	if err != nil {
		t.Fatal(err)
	}
	defer view.Close()
	err = view.Ascend(nil, nil, func(r engine.Record) bool {
		if k, v := hex.EncodeToString(r.Key), hex.EncodeToString(r.Value); want[k] != v {
			t.Errorf("row %s is %s, want %q", k, v, want[k])
		} else {
			delete(want, k)
		}
		return true
	})
	if err != nil || len(want) > 0 {
		t.Fatalf("error %v, rows that are missing: %v", err, want)
	}
}

func TestRowsThatAreNotUnderstoodAreRefused(t *testing.T) {
	head, foreign := head{format: 1, index: 1, term: 1}.encode(), head{format: 1, shard: 2, index: 1, term: 1}.encode()
	newer := append([]byte{command.Format + 1}, head[1:]...)
	for name, c := range map[string]struct {
		key, value []byte
		code       errpb.ErrorCode
	}{
		"newer format":     {headKey, newer, errpb.ErrorCode_ERROR_CODE_UNSUPPORTED},
		"longer and newer": {headKey, append(newer, 1), errpb.ErrorCode_ERROR_CODE_UNSUPPORTED},
		"format 0":         {headKey, append([]byte{0}, head[1:]...), errpb.ErrorCode_ERROR_CODE_UNSUPPORTED},
		"short head":       {headKey, head[:9], errpb.ErrorCode_ERROR_CODE_CORRUPT},
		"empty head":       {headKey, nil, errpb.ErrorCode_ERROR_CODE_CORRUPT},
		"other shard":      {headKey, foreign, errpb.ErrorCode_ERROR_CODE_CORRUPT},
		"unknown row":      {[]byte{spaceSystem, 9}, nil, errpb.ErrorCode_ERROR_CODE_CORRUPT},
		"short ownership":  {ownershipKey, []byte{1}, errpb.ErrorCode_ERROR_CODE_CORRUPT},
		"partition 1024":   {[]byte{spaceSystem, rowPartition, 4, 0}, partition{}.encode(), errpb.ErrorCode_ERROR_CODE_CORRUPT},
		"unknown state":    {partitionKey(3), partition{Holding: Holding{State: ownerships}}.encode(), errpb.ErrorCode_ERROR_CODE_CORRUPT},
		"endless freeze":   {partitionKey(3), partition{Holding: Holding{State: Frozen}}.encode()[:partitionBytes], errpb.ErrorCode_ERROR_CODE_CORRUPT},
		"frozen, not said": {partitionKey(3), append(partition{Holding: Holding{State: Owned}}.encode(), make([]byte, 8)...), errpb.ErrorCode_ERROR_CODE_CORRUPT},
		"no head":          {userKey([]byte("k")), nil, errpb.ErrorCode_ERROR_CODE_CORRUPT},
	} {
		t.Run(name, func(t *testing.T) {
			e := memory.New()
			batch := engine.NewBatch(1)
			if name != "no head" {
				batch.Put(engine.Record{Key: headKey, Value: head})
			}
			batch.Put(engine.Record{Key: c.key, Value: c.value})
			if err := e.Apply(batch); err != nil {
				t.Fatal(err)
			}
			_, err := New(e, Options{Log: quiet()})
			requireCode(t, err, c.code)
		})
	}
}
