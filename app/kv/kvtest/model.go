package kvtest

import (
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"
)

// register is the state of one key. An index that nobody was told is 0 with
// told false; the key is there then.
type register struct {
	value string
	index uint64
	told  bool
}

var absent = register{told: true}

func (r register) is(index uint64) bool {
	if r.told {
		return r.index == index
	}
	return index != 0
}

var model = porcupine.Model{
	Partition: byKey,
	Init:      func() any { return absent },
	Step: func(state, input, output any) (bool, any) {
		return step(state.(register), input.(Input), output.(Output))
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

func byKey(history []porcupine.Operation) [][]porcupine.Operation {
	var keys []string
	byKey := map[string][]porcupine.Operation{}
	for _, op := range history {
		k := op.Input.(Input).Key
		if byKey[k] == nil {
			keys = append(keys, k)
		}
		byKey[k] = append(byKey[k], op)
	}
	slices.Sort(keys)
	out := make([][]porcupine.Operation, len(keys))
	for i, k := range keys {
		out[i] = byKey[k]
	}
	return out
}

// step is the sequential specification: whether the output is possible, and the
// state after it.
func step(r register, in Input, out Output) (bool, register) {
	switch in.Kind {
	case Get:
		return r.value == out.Value && r.is(out.Index), register{r.value, out.Index, true}
	case Put:
		if out.Unknown {
			return true, register{value: in.Value}
		}
		return !r.told || out.Index > r.index, register{in.Value, out.Index, true}
	case Delete:
		there := r != absent
		if out.Unknown {
			return true, absent
		}
		return out.Held == there, absent
	}
	switch { // Swap
	case out.Unknown && r.is(in.Index):
		return true, register{value: in.Value}
	case out.Unknown:
		return true, r // it failed, if at all
	case out.Held:
		return r.is(in.Index), register{in.Value, out.Index, true}
	}
	return (!r.told || r.index != in.Index) && r.is(out.Index), register{r.value, out.Index, true}
}
