package raft

import (
	"errors"
	"testing"
)

// TestPromotionNeedsTheConfiguration: a device that holds nothing yet belongs to
// no cluster as far as it knows, and would not answer a candidate.
func TestPromotionNeedsTheConfiguration(t *testing.T) {
	s := newSingle(t, voters(idA))
	s.elect()
	if err := s.ProposeChange(Change{Kind: AddLearner, ID: idB}); err != nil {
		t.Fatal(err)
	}
	s.settle()
	promote := Change{Kind: Promote, ID: idB}
	if err := s.ProposeChange(promote); !errors.Is(err, ErrChangePending) {
		t.Fatalf("promotion of a device that never answered: %v", err)
	}
	s.must(idB, 0, AppendResponse{Match: s.confs.index() - 1})
	if err := s.ProposeChange(promote); !errors.Is(err, ErrChangePending) {
		t.Fatalf("promotion of a device that does not hold the configuration: %v", err)
	}
	s.must(idB, 0, AppendResponse{Match: s.confs.index()})
	if err := s.ProposeChange(promote); err != nil {
		t.Fatal(err)
	}
}
