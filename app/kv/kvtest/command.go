package kvtest

import (
	"fmt"

	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/raft"
)

// Command is the command that does what is asked for; none for a Get.
func (in Input) Command() ([]byte, error) {
	switch in.Kind {
	case Put:
		return kv.Put(in.Key, []byte(in.Value), nil)
	case Swap:
		return kv.Put(in.Key, []byte(in.Value), &in.Index)
	case Delete:
		return kv.Delete(in.Key, nil)
	}
	return nil, fmt.Errorf("kind %d has no command", in.Kind)
}

// Output is what the result of the command, applied at index, tells.
func (in Input) Output(index raft.Index, result []byte) (Output, error) {
	r, err := kv.ParseResult(result)
	if err != nil {
		return Output{}, err
	}
	switch r.Outcome {
	case kv.CompareFailed:
		return Output{Index: r.Index}, nil
	case kv.Absent:
		return Output{}, nil
	case kv.Done:
		return Output{Index: uint64(index), Held: true}, nil
	}
	return Output{}, fmt.Errorf("a %d of %q ended with %q", in.Kind, in.Key, r.Outcome)
}
