package transport

import (
	"fmt"
	"maps"
	"sync"
	"testing"
)

func TestBookSavesChangesOnly(t *testing.T) {
	var saved []map[string]string
	book := NewBook(map[string]string{"a": "h:1"}, func(addresses map[string]string) { saved = append(saved, addresses) })
	book.Set("a", "h:1")
	book.Set("", "h:1")
	book.Set("a", "")
	if len(saved) != 0 {
		t.Errorf("saved without a change: %v", saved)
	}
	book.Set("a", "h:2")
	book.Set("b", "h:3")
	want := map[string]string{"a": "h:2", "b": "h:3"}
	if len(saved) != 2 || !maps.Equal(saved[1], want) || !maps.Equal(book.All(), want) {
		t.Errorf("saved %v, holds %v", saved, book.All())
	}
}

// What is saved last is the whole book, whoever comes last.
func TestBookSavesInOrder(t *testing.T) {
	var last map[string]string
	book := NewBook(nil, func(addresses map[string]string) { last = addresses })
	var all sync.WaitGroup
	for i := range 50 {
		all.Add(1)
		go func() {
			defer all.Done()
			book.Set(fmt.Sprint(i), "h:1")
		}()
	}
	all.Wait()
	if len(last) != 50 {
		t.Errorf("%d addresses were saved last", len(last))
	}
}
