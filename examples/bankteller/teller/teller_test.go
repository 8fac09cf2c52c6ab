package teller

import (
	"math"
	"slices"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

func TestCommandsAndRefusalsAreTheSameOnEveryDevice(t *testing.T) {
	steps := []struct {
		data []byte
		want string
	}{
		{Command{"credit", "alice", 10_000}.Encode(), `{"balance":10000}`},
		{Command{"debit", "alice", 2_500}.Encode(), `{"balance":7500}`},
		{Command{"debit", "alice", 7_501}.Encode(), `{"balance":7500,"refused":"overdraft: the balance is 7500, 7501 were wanted"}`},
		{Command{"debit", "bob", 1}.Encode(), `{"balance":0,"refused":"overdraft: the balance is 0, 1 were wanted"}`},
		{Command{"credit", "alice", -5}.Encode(), `{"balance":7500,"refused":"the amount must be more than nothing"}`},
		{Command{"credit", "alice", math.MaxInt64}.Encode(), `{"balance":7500,"refused":"no account can hold that much"}`},
		{Command{"rob", "alice", 1}.Encode(), `{"balance":7500,"refused":"a teller does not do \"rob\""}`},
		{Command{"credit", "", 1}.Encode(), `{"balance":0,"refused":"an account's name has 1 to 64 bytes"}`},
		{[]byte("nonsense"), `{"balance":0,"refused":"the command cannot be read"}`},
		{Command{"debit", "alice", 7_500}.Encode(), `{"balance":0}`},
	}
	banks := []*Bank{New(), New(), New()}
	for i, s := range steps {
		for _, b := range banks {
			got := b.Apply(raft.Entry{Index: raft.Index(i + 1), Kind: raft.EntryCommand, Data: s.data})
			if string(got) != s.want {
				t.Errorf("step %d: %s, want %s", i, got, s.want)
			}
		}
	}
	if err := banks[1].Restore(banks[0].Snapshot()); err != nil {
		t.Error(err)
	}
	balances := []int64{banks[0].Balance("alice"), banks[1].Balance("alice"), banks[2].Balance("alice")}
	if slices.Max(balances) != 0 || slices.Min(balances) != 0 {
		t.Errorf("balances are %v, want 0 on all", balances)
	}
}
