package wire

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// stateVersion is the version of a stored hard state.
const stateVersion = 1

// hardState is raft.HardState as it is encoded.
type hardState struct {
	_       struct{} `cbor:",toarray"`
	Cluster []byte   // 16 bytes; none while the device has no cluster
	Term    raft.Term
	Vote    raft.NodeID
	Commit  raft.Index
}

// AppendHardState appends the stored form of s to dst.
func AppendHardState(dst []byte, s raft.HardState) ([]byte, error) {
	if err := checkIDOrNone("vote", s.Vote); err != nil {
		return dst, fmt.Errorf("encode the hard state: %w", err)
	}
	w := hardState{Cluster: fromCluster(s.Cluster), Term: s.Term, Vote: s.Vote, Commit: s.Commit}
	out, err := AppendStored(dst, stateVersion, &w)
	if err != nil {
		return dst, fmt.Errorf("encode the hard state: %w", err)
	}
	return out, nil
}

// DecodeHardState reads the stored form of a hard state.
func DecodeHardState(b []byte) (raft.HardState, error) {
	var w hardState
	if err := DecodeStored(b, stateVersion, &w); err != nil {
		return raft.HardState{}, fmt.Errorf("decode the stored hard state: %w", err)
	}
	cluster, err := toCluster(w.Cluster)
	if err == nil {
		err = checkIDOrNone("vote", w.Vote)
	}
	if err != nil {
		return raft.HardState{}, fmt.Errorf("decode the stored hard state: %w", err)
	}
	return raft.HardState{Cluster: cluster, Term: w.Term, Vote: w.Vote, Commit: w.Commit}, nil
}

// fromCluster is the encoded form of c: nothing for no cluster.
func fromCluster(c raft.ClusterID) []byte {
	if c.IsZero() {
		return nil
	}
	return c[:]
}

func toCluster(b []byte) (raft.ClusterID, error) {
	var c raft.ClusterID
	if len(b) != 0 && len(b) != len(c) {
		return c, fmt.Errorf("%w: the cluster's ID has %d bytes instead of %d", ErrMalformed, len(b), len(c))
	}
	copy(c[:], b)
	return c, nil
}
