package wire

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/edgeraft/edgeraft/raft"
)

// kind is a body's number in a message. Sent: never reuse one.
type kind uint16

const (
	kindPreVoteRequest   kind = 1
	kindPreVoteResponse  kind = 2
	kindVoteRequest      kind = 3
	kindVoteResponse     kind = 4
	kindAppendRequest    kind = 5
	kindAppendResponse   kind = 6
	kindForward          kind = 7
	kindForwardRefused   kind = 8
	kindReadRequest      kind = 9
	kindReadResponse     kind = 10
	kindJoin             kind = 11
	kindJoinAnswer       kind = 12
	kindTimeoutNow       kind = 13
	kindForwardChange    kind = 14
	kindTransferRequest  kind = 15
	kindRemoved          kind = 16
	kindSnapshotRequest  kind = 17
	kindSnapshotResponse kind = 18
	kindFoundingPrepare  kind = 19
	kindFoundingPromise  kind = 20
	kindFoundingAccept   kind = 21
	kindFoundingAccepted kind = 22
	kindFoundingRefused  kind = 23
	kindFounded          kind = 24
)

// The bodies as they are encoded. Most have the fields of their counterpart in
// package raft, so that Go converts one into the other, and a field that is
// added on one side only does not compile.
type (
	preVoteRequest struct {
		LastIndex raft.Index `cbor:"1,keyasint,omitempty"`
		LastTerm  raft.Term  `cbor:"2,keyasint,omitempty"`
	}
	preVoteResponse struct {
		For     raft.Term `cbor:"1,keyasint,omitempty"`
		Granted bool      `cbor:"2,keyasint,omitempty"`
	}
	voteRequest struct {
		LastIndex raft.Index `cbor:"1,keyasint,omitempty"`
		LastTerm  raft.Term  `cbor:"2,keyasint,omitempty"`
		Transfer  bool       `cbor:"3,keyasint,omitempty"`
	}
	voteResponse struct {
		Granted bool `cbor:"1,keyasint,omitempty"`
	}
	appendRequest struct {
		PrevIndex raft.Index `cbor:"1,keyasint,omitempty"`
		PrevTerm  raft.Term  `cbor:"2,keyasint,omitempty"`
		Entries   []entry    `cbor:"3,keyasint,omitempty"`
		Commit    raft.Index `cbor:"4,keyasint,omitempty"`
		Read      uint64     `cbor:"5,keyasint,omitempty"`
		Clock     raft.Time  `cbor:"6,keyasint,omitempty"`
		// Ages is for each entry how long before Clock its time is.
		Ages  []raft.Time `cbor:"7,keyasint,omitempty"`
		Level uint32      `cbor:"8,keyasint,omitempty"`
	}
	appendResponse struct {
		Match         raft.Index `cbor:"1,keyasint,omitempty"`
		Read          uint64     `cbor:"2,keyasint,omitempty"`
		Rejected      bool       `cbor:"3,keyasint,omitempty"`
		Prev          raft.Index `cbor:"4,keyasint,omitempty"`
		ConflictTerm  raft.Term  `cbor:"5,keyasint,omitempty"`
		ConflictIndex raft.Index `cbor:"6,keyasint,omitempty"`
		Received      raft.Index `cbor:"7,keyasint,omitempty"`
		Short         bool       `cbor:"8,keyasint,omitempty"`
	}
	forward struct {
		Boot      uint64     `cbor:"1,keyasint,omitempty"`
		Proposals []proposal `cbor:"2,keyasint,omitempty"`
	}
	proposal struct {
		_    struct{} `cbor:",toarray"`
		Seq  uint64
		ID   raft.ProposalID
		Data []byte
	}
	forwardRefused struct {
		Boot   uint64             `cbor:"1,keyasint,omitempty"`
		Seq    uint64             `cbor:"2,keyasint,omitempty"`
		Reason raft.RefusalReason `cbor:"3,keyasint,omitempty"`
	}
	readRequest struct {
		Seq uint64 `cbor:"1,keyasint,omitempty"`
	}
	readResponse struct {
		Seq   uint64     `cbor:"1,keyasint,omitempty"`
		Index raft.Index `cbor:"2,keyasint,omitempty"`
	}
	join struct {
		Name   string `cbor:"1,keyasint,omitempty"`
		Member bool   `cbor:"2,keyasint,omitempty"`
		// Replaces is as in raft.Join.
		Replaces raft.NodeID `cbor:"3,keyasint,omitempty"`
		Expect   int         `cbor:"4,keyasint,omitempty"`
		Boot     uint64      `cbor:"5,keyasint,omitempty"`
		Session  uint64      `cbor:"6,keyasint,omitempty"`
		Version  string      `cbor:"7,keyasint,omitempty"`
	}
	snapshotRequest struct {
		Index       raft.Index `cbor:"1,keyasint"`
		Term        raft.Term  `cbor:"2,keyasint"`
		Members     []member   `cbor:"3,keyasint"`
		ConfigIndex raft.Index `cbor:"4,keyasint,omitempty"`
		Size        uint64     `cbor:"5,keyasint,omitempty"`
		Sum         uint32     `cbor:"6,keyasint,omitempty"`
		Offset      uint64     `cbor:"7,keyasint,omitempty"`
		Data        []byte     `cbor:"8,keyasint,omitempty"`
		Time        raft.Time  `cbor:"9,keyasint,omitempty"`
	}
	snapshotResponse struct {
		Index  raft.Index `cbor:"1,keyasint,omitempty"`
		Offset uint64     `cbor:"2,keyasint,omitempty"`
	}
	timeoutNow    struct{}
	forwardChange struct {
		Boot   uint64          `cbor:"1,keyasint,omitempty"`
		Seq    uint64          `cbor:"2,keyasint,omitempty"`
		ID     raft.ProposalID `cbor:"3,keyasint,omitempty"`
		Change change          `cbor:"4,keyasint"`
	}
	change struct {
		Kind raft.ChangeKind `cbor:"1,keyasint"`
		ID   raft.NodeID     `cbor:"2,keyasint"`
		Name string          `cbor:"3,keyasint,omitempty"`
	}
	transferRequest struct {
		Successor raft.NodeID `cbor:"1,keyasint,omitempty"`
	}
	removed struct {
		Index raft.Index `cbor:"1,keyasint,omitempty"`
	}
	joinAnswer struct {
		Leader       raft.NodeID `cbor:"1,keyasint,omitempty"`
		Reason       string      `cbor:"2,keyasint,omitempty"`
		Boot         uint64      `cbor:"3,keyasint,omitempty"`
		Session      uint64      `cbor:"4,keyasint,omitempty"`
		Version      string      `cbor:"5,keyasint,omitempty"`
		KnownBoot    uint64      `cbor:"6,keyasint,omitempty"`
		KnownSession uint64      `cbor:"7,keyasint,omitempty"`
	}
)

// fromBody returns the kind of b and what to encode for it.
func fromBody(b raft.Body) (kind, any, error) {
	switch b := b.(type) {
	case raft.PreVoteRequest:
		return kindPreVoteRequest, preVoteRequest(b), nil
	case raft.PreVoteResponse:
		return kindPreVoteResponse, preVoteResponse(b), nil
	case raft.VoteRequest:
		return kindVoteRequest, voteRequest(b), nil
	case raft.VoteResponse:
		return kindVoteResponse, voteResponse(b), nil
	case raft.AppendRequest:
		return kindAppendRequest, fromAppendRequest(b), nil
	case raft.AppendResponse:
		return kindAppendResponse, appendResponse(b), nil
	case raft.Forward:
		return kindForward, fromForward(b), nil
	case raft.ForwardRefused:
		return kindForwardRefused, forwardRefused(b), nil
	case raft.ReadRequest:
		return kindReadRequest, readRequest(b), nil
	case raft.ReadResponse:
		return kindReadResponse, readResponse(b), nil
	case raft.Join:
		return kindJoin, fromJoin(b), nil
	case raft.JoinAnswer:
		return kindJoinAnswer, fromJoinAnswer(b), nil
	case raft.SnapshotRequest:
		return kindSnapshotRequest, snapshotRequest{
			b.Index, b.Term, fromConfiguration(b.Config), b.ConfigIndex, b.Size, b.Sum, b.Offset, b.Data, b.Time,
		}, nil
	case raft.SnapshotResponse:
		return kindSnapshotResponse, snapshotResponse(b), nil
	case raft.TimeoutNow:
		return kindTimeoutNow, timeoutNow(b), nil
	case raft.ForwardChange:
		return kindForwardChange, forwardChange{b.Boot, b.Seq, b.ID, change(b.Change)}, nil
	case raft.TransferRequest:
		return kindTransferRequest, transferRequest(b), nil
	case raft.Removed:
		return kindRemoved, removed(b), nil
	}
	return fromFoundingBody(b)
}

// toBody decodes a body of kind k.
func toBody(k kind, b cbor.RawMessage) (raft.Body, error) {
	switch k {
	case kindPreVoteRequest:
		w, err := decodeLenient[preVoteRequest](b)
		return raft.PreVoteRequest(w), err
	case kindPreVoteResponse:
		w, err := decodeLenient[preVoteResponse](b)
		return raft.PreVoteResponse(w), err
	case kindVoteRequest:
		w, err := decodeLenient[voteRequest](b)
		return raft.VoteRequest(w), err
	case kindVoteResponse:
		w, err := decodeLenient[voteResponse](b)
		return raft.VoteResponse(w), err
	case kindAppendRequest:
		return toAppendRequest(b)
	case kindAppendResponse:
		w, err := decodeLenient[appendResponse](b)
		return raft.AppendResponse(w), err
	case kindForward:
		return toForward(b)
	case kindForwardRefused:
		w, err := decodeLenient[forwardRefused](b)
		return raft.ForwardRefused(w), err
	case kindReadRequest:
		w, err := decodeLenient[readRequest](b)
		return raft.ReadRequest(w), err
	case kindReadResponse:
		w, err := decodeLenient[readResponse](b)
		return raft.ReadResponse(w), err
	case kindJoin:
		return toJoin(b)
	case kindSnapshotRequest:
		w, err := decodeLenient[snapshotRequest](b)
		return raft.SnapshotRequest{
			Index: w.Index, Term: w.Term, Time: w.Time, Config: toConfiguration(w.Members), ConfigIndex: w.ConfigIndex,
			Size: w.Size, Sum: w.Sum, Offset: w.Offset, Data: orNil(w.Data),
		}, err
	case kindSnapshotResponse:
		w, err := decodeLenient[snapshotResponse](b)
		return raft.SnapshotResponse(w), err
	case kindTimeoutNow:
		w, err := decodeLenient[timeoutNow](b)
		return raft.TimeoutNow(w), err
	case kindForwardChange:
		w, err := decodeLenient[forwardChange](b)
		return raft.ForwardChange{Boot: w.Boot, Seq: w.Seq, ID: w.ID, Change: raft.Change(w.Change)}, err
	case kindTransferRequest:
		w, err := decodeLenient[transferRequest](b)
		return raft.TransferRequest(w), err
	case kindRemoved:
		w, err := decodeLenient[removed](b)
		return raft.Removed(w), err
	case kindJoinAnswer:
		return toJoinAnswer(b)
	}
	return toFoundingBody(k, b)
}

func fromAppendRequest(b raft.AppendRequest) appendRequest {
	w := appendRequest{PrevIndex: b.PrevIndex, PrevTerm: b.PrevTerm, Commit: b.Commit, Read: b.Read, Clock: b.Clock, Level: b.Level}
	if len(b.Entries) > 0 {
		w.Entries = make([]entry, len(b.Entries))
		for i, e := range b.Entries {
			w.Entries[i] = fromEntry(e)
			if b.Clock != 0 {
				w.Ages = append(w.Ages, b.Clock-e.Time)
			}
		}
	}
	return w
}

func toAppendRequest(raw cbor.RawMessage) (raft.Body, error) {
	w, err := decodeLenient[appendRequest](raw)
	if err != nil {
		return nil, err
	}
	b := raft.AppendRequest{PrevIndex: w.PrevIndex, PrevTerm: w.PrevTerm, Commit: w.Commit, Read: w.Read, Clock: w.Clock, Level: w.Level}
	if len(w.Ages) != 0 && len(w.Ages) != len(w.Entries) {
		return nil, fmt.Errorf("%w: the times of %d entries where there are %d", ErrMalformed, len(w.Ages), len(w.Entries))
	}
	if len(w.Entries) > 0 {
		b.Entries = make([]raft.Entry, len(w.Entries))
	}
	for i := range w.Entries {
		if b.Entries[i], err = w.Entries[i].entry(); err != nil {
			return nil, fmt.Errorf("entry %d of the request: %w", i, err)
		}
		if len(w.Ages) == 0 {
			continue // from before entries had a time
		}
		if w.Ages[i] > w.Clock {
			return nil, fmt.Errorf("%w: entry %d of the request is older than time itself", ErrMalformed, i)
		}
		b.Entries[i].Time = w.Clock - w.Ages[i]
	}
	return b, nil
}

func fromForward(b raft.Forward) forward {
	w := forward{Boot: b.Boot, Proposals: make([]proposal, len(b.Proposals))}
	for i, p := range b.Proposals {
		w.Proposals[i] = proposal{Seq: p.Seq, ID: p.ID, Data: p.Data}
	}
	return w
}

func toForward(raw cbor.RawMessage) (raft.Body, error) {
	w, err := decodeLenient[forward](raw)
	if err != nil {
		return nil, err
	}
	b := raft.Forward{Boot: w.Boot}
	for _, p := range w.Proposals {
		b.Proposals = append(b.Proposals, raft.ForwardedProposal{Seq: p.Seq, ID: p.ID, Data: orNil(p.Data)})
	}
	return b, nil
}

// orNil makes data without bytes nil, so that what is equal is deeply equal.
func orNil(data []byte) []byte {
	if len(data) == 0 {
		return nil
	}
	return data
}
