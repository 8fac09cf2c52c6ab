package wire

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/edgeraft/edgeraft/raft"
)

// foundingVersion is the version of what is stored of a founding.
const foundingVersion = 1

// ballot is raft.Ballot as it is encoded.
type ballot struct {
	_        struct{} `cbor:",toarray"`
	Round    uint64
	Proposer raft.NodeID
}

// The bodies of a founding. A charter is its cluster and its members; without a
// cluster there is none.
type (
	foundingPrepare struct {
		Ballot ballot `cbor:"1,keyasint"`
		Expect int    `cbor:"2,keyasint,omitempty"`
	}
	foundingPromise struct {
		Ballot   ballot   `cbor:"1,keyasint"`
		Accepted ballot   `cbor:"2,keyasint"`
		Cluster  []byte   `cbor:"3,keyasint,omitempty"`
		Members  []member `cbor:"4,keyasint,omitempty"`
		Name     string   `cbor:"5,keyasint,omitempty"`
	}
	foundingAccept struct {
		Ballot  ballot   `cbor:"1,keyasint"`
		Expect  int      `cbor:"2,keyasint,omitempty"`
		Cluster []byte   `cbor:"3,keyasint,omitempty"`
		Members []member `cbor:"4,keyasint,omitempty"`
	}
	foundingAnswer struct {
		Ballot ballot `cbor:"1,keyasint"`
	}
	founded struct {
		Cluster []byte   `cbor:"1,keyasint,omitempty"`
		Members []member `cbor:"2,keyasint,omitempty"`
	}
	// storedFounding is raft.Founding as it is stored.
	storedFounding struct {
		_        struct{} `cbor:",toarray"`
		Promised ballot
		Accepted ballot
		Cluster  []byte
		Members  []member
	}
)

// fromFoundingBody is fromBody for what belongs to a founding.
func fromFoundingBody(b raft.Body) (kind, any, error) {
	switch b := b.(type) {
	case raft.FoundingPrepare:
		return kindFoundingPrepare, foundingPrepare{fromBallot(b.Ballot), b.Expect}, nil
	case raft.FoundingPromise:
		return kindFoundingPromise, fromFoundingPromise(b), nil
	case raft.FoundingAccept:
		return kindFoundingAccept, fromFoundingAccept(b), nil
	case raft.FoundingAccepted:
		return kindFoundingAccepted, foundingAnswer{fromBallot(b.Ballot)}, nil
	case raft.FoundingRefused:
		return kindFoundingRefused, foundingAnswer{fromBallot(b.Promised)}, nil
	case raft.Founded:
		return kindFounded, fromFounded(b), nil
	}
	return 0, nil, fmt.Errorf("%w: a body of type %T", ErrMalformed, b)
}

// toFoundingBody is toBody for what belongs to a founding.
func toFoundingBody(k kind, b cbor.RawMessage) (raft.Body, error) {
	switch k {
	case kindFoundingPrepare:
		w, err := decodeLenient[foundingPrepare](b)
		return raft.FoundingPrepare{Ballot: w.Ballot.ballot(), Expect: w.Expect}, err
	case kindFoundingPromise:
		return toFoundingPromise(b)
	case kindFoundingAccept:
		return toFoundingAccept(b)
	case kindFoundingAccepted:
		w, err := decodeLenient[foundingAnswer](b)
		return raft.FoundingAccepted{Ballot: w.Ballot.ballot()}, err
	case kindFoundingRefused:
		w, err := decodeLenient[foundingAnswer](b)
		return raft.FoundingRefused{Promised: w.Ballot.ballot()}, err
	case kindFounded:
		return toFounded(b)
	}
	return nil, fmt.Errorf("%w: message kind %d", ErrVersion, k)
}

func fromCharter(h *raft.Charter) (cluster []byte, members []member) {
	if h == nil {
		return nil, nil
	}
	return fromCluster(h.Cluster), fromConfiguration(h.Config)
}

func toCharter(cluster []byte, members []member) (*raft.Charter, error) {
	if len(cluster) == 0 {
		return nil, nil
	}
	id, err := toCluster(cluster)
	if err != nil {
		return nil, err
	}
	return &raft.Charter{Cluster: id, Config: toConfiguration(members)}, nil
}

func fromFoundingPromise(b raft.FoundingPromise) foundingPromise {
	w := foundingPromise{Ballot: fromBallot(b.Ballot), Accepted: fromBallot(b.Accepted), Name: b.Name}
	w.Cluster, w.Members = fromCharter(b.Charter)
	return w
}

func toFoundingPromise(raw cbor.RawMessage) (raft.Body, error) {
	w, err := decodeLenient[foundingPromise](raw)
	if err != nil {
		return nil, err
	}
	h, err := toCharter(w.Cluster, w.Members)
	return raft.FoundingPromise{Ballot: w.Ballot.ballot(), Accepted: w.Accepted.ballot(), Charter: h, Name: w.Name}, err
}

func fromFoundingAccept(b raft.FoundingAccept) foundingAccept {
	w := foundingAccept{Ballot: fromBallot(b.Ballot), Expect: b.Expect}
	w.Cluster, w.Members = fromCharter(b.Charter)
	return w
}

func toFoundingAccept(raw cbor.RawMessage) (raft.Body, error) {
	w, err := decodeLenient[foundingAccept](raw)
	if err != nil {
		return nil, err
	}
	h, err := toCharter(w.Cluster, w.Members)
	return raft.FoundingAccept{Ballot: w.Ballot.ballot(), Expect: w.Expect, Charter: h}, err
}

func fromFounded(b raft.Founded) founded {
	var w founded
	w.Cluster, w.Members = fromCharter(b.Charter)
	return w
}

func toFounded(raw cbor.RawMessage) (raft.Body, error) {
	w, err := decodeLenient[founded](raw)
	if err != nil {
		return nil, err
	}
	h, err := toCharter(w.Cluster, w.Members)
	return raft.Founded{Charter: h}, err
}

func fromBallot(b raft.Ballot) ballot { return ballot{Round: b.Round, Proposer: b.Proposer} }
func (b ballot) ballot() raft.Ballot  { return raft.Ballot{Round: b.Round, Proposer: b.Proposer} }

// checkFounding holds what the types of a founding's messages cannot.
func checkFounding(b raft.Body) error {
	switch b := b.(type) {
	case raft.FoundingPrepare:
		return checkBallot(b.Ballot)
	case raft.FoundingPromise:
		if err := checkText("the name", b.Name, raft.MaxNameLen); err != nil {
			return err
		}
		if err := checkBallot(b.Ballot); err != nil {
			return err
		}
		return checkAccepted(b.Accepted, b.Charter)
	case raft.FoundingAccept:
		if err := checkBallot(b.Ballot); err != nil {
			return err
		}
		return checkCharter(b.Charter)
	case raft.FoundingAccepted:
		return checkBallot(b.Ballot)
	case raft.FoundingRefused:
		return checkBallot(b.Promised)
	case raft.Founded:
		return checkCharter(b.Charter)
	}
	return nil
}

func checkBallot(b raft.Ballot) error {
	if b.Round == 0 || !b.Proposer.Valid() {
		return fmt.Errorf("%w: ballot %d of %q", ErrMalformed, b.Round, clip(b.Proposer))
	}
	return nil
}

// checkAccepted holds that there is a ballot with a charter, and only then.
func checkAccepted(b raft.Ballot, h *raft.Charter) error {
	if h == nil {
		if b != (raft.Ballot{}) {
			return fmt.Errorf("%w: a ballot that accepted no charter", ErrMalformed)
		}
		return nil
	}
	if err := checkBallot(b); err != nil {
		return err
	}
	return checkCharter(h)
}

func checkCharter(h *raft.Charter) error {
	if h == nil || h.Cluster.IsZero() || h.Config == nil || h.Config.Voters() == 0 {
		return fmt.Errorf("%w: a charter that founds nothing", ErrMalformed)
	}
	return checkConfiguration(*h.Config)
}

func checkStoredFounding(f raft.Founding) error {
	if f.Promised == (raft.Ballot{}) && f.Charter == nil {
		return nil
	}
	if err := checkBallot(f.Promised); err != nil {
		return err
	}
	return checkAccepted(f.Accepted, f.Charter)
}

// AppendFounding appends the stored form of f to dst.
func AppendFounding(dst []byte, f raft.Founding) ([]byte, error) {
	if err := checkStoredFounding(f); err != nil {
		return dst, fmt.Errorf("encode a founding: %w", err)
	}
	w := storedFounding{Promised: fromBallot(f.Promised), Accepted: fromBallot(f.Accepted)}
	w.Cluster, w.Members = fromCharter(f.Charter)
	out, err := AppendStored(dst, foundingVersion, &w)
	if err != nil {
		return dst, fmt.Errorf("encode a founding: %w", err)
	}
	return out, nil
}

// DecodeFounding reads the stored form of a founding.
func DecodeFounding(b []byte) (raft.Founding, error) {
	var w storedFounding
	if err := DecodeStored(b, foundingVersion, &w); err != nil {
		return raft.Founding{}, fmt.Errorf("decode the stored founding: %w", err)
	}
	f := raft.Founding{Promised: w.Promised.ballot(), Accepted: w.Accepted.ballot()}
	var err error
	if f.Charter, err = toCharter(w.Cluster, w.Members); err == nil {
		err = checkStoredFounding(f)
	}
	if err != nil {
		return raft.Founding{}, fmt.Errorf("decode the stored founding: %w", err)
	}
	return f, nil
}
