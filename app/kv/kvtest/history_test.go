package kvtest

import "testing"

// one is an operation of a history in which each has the calls and answers at
// the times given.
type one struct {
	call, back int64
	in         Input
	out        Output
}

func TestCheck(t *testing.T) {
	put := func(v string) Input { return Input{Kind: Put, Key: "k", Value: v} }
	get := Input{Kind: Get, Key: "k"}
	swap := func(v string, at uint64) Input { return Input{Kind: Swap, Key: "k", Value: v, Index: at} }
	del := Input{Kind: Delete, Key: "k"}
	for _, c := range []struct {
		name string
		ops  []one
		ok   bool
	}{
		{"nothing", nil, true},
		{"a read of what was put", []one{{1, 2, put("a"), Output{Index: 5}}, {3, 4, get, Output{Value: "a", Index: 5}}}, true},
		{"a stale read", []one{{1, 2, put("a"), Output{Index: 5}}, {3, 4, put("b"), Output{Index: 6}}, {5, 6, get, Output{Value: "a", Index: 5}}}, false},
		{"a read during a put", []one{{1, 9, put("a"), Output{Index: 5}}, {3, 4, get, Output{}}}, true},
		{"a read that goes back", []one{{1, 9, put("a"), Output{Index: 5}}, {3, 4, get, Output{Value: "a", Index: 5}}, {5, 6, get, Output{}}}, false},
		{"a lost put that shows late", []one{{1, 0, put("a"), Output{Unknown: true}}, {3, 4, get, Output{}}, {5, 6, get, Output{Value: "a", Index: 7}}}, true},
		{"a lost put that took effect twice", []one{{1, 0, put("a"), Output{Unknown: true}}, {3, 4, put("b"), Output{Index: 6}},
			{5, 6, get, Output{Value: "a", Index: 7}}, {7, 8, put("c"), Output{Index: 8}}, {9, 10, get, Output{Value: "a", Index: 9}}}, false},
		{"two swaps of one index", []one{{1, 2, put("a"), Output{Index: 5}}, {3, 6, swap("b", 5), Output{Index: 6, Held: true}}, {4, 7, swap("c", 5), Output{Index: 7, Held: true}}}, false},
		{"a swap that fails for a lost one", []one{{1, 2, put("a"), Output{Index: 5}}, {3, 0, swap("b", 5), Output{Unknown: true}}, {4, 7, swap("c", 5), Output{Index: 6}}}, true},
		{"a swap that fails without cause", []one{{1, 2, put("a"), Output{Index: 5}}, {4, 7, swap("c", 5), Output{Index: 4}}}, false},
		{"a delete of what is there", []one{{1, 2, put("a"), Output{Index: 5}}, {3, 4, del, Output{Held: true, Index: 6}}, {5, 6, get, Output{}}}, true},
		{"a delete twice", []one{{1, 2, put("a"), Output{Index: 5}}, {3, 6, del, Output{Held: true, Index: 6}}, {4, 7, del, Output{Held: true, Index: 7}}}, false},
		{"a swap after a lost put", []one{{1, 0, put("a"), Output{Unknown: true}}, {3, 4, swap("b", 7), Output{Held: true, Index: 8}}, {5, 6, get, Output{Value: "b", Index: 8}}}, true},
		{"absent after a lost put was seen", []one{{1, 0, put("a"), Output{Unknown: true}}, {3, 4, swap("b", 0), Output{Index: 7}}, {5, 6, get, Output{}}}, false},
	} {
		h := &History{}
		for i, o := range c.ops {
			h.clock = o.back - 1
			h.Return(i, o.call, o.in, o.out)
		}
		if err := h.Check(); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
