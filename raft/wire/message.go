package wire

import (
	"fmt"

	"github.com/fxamacker/cbor/v2"

	"github.com/edgeraft/edgeraft/raft"
)

// messageVersion is the version of a message. It changes only when an older
// peer must not read the message at all; fields are added without that.
const messageVersion = 1

// envelope is raft.Message as it is encoded: B is any to encode, and
// cbor.RawMessage to decode, since the kind must be known first.
type envelope[B any] struct {
	Kind    kind        `cbor:"1,keyasint,omitempty"`
	Cluster []byte      `cbor:"2,keyasint,omitempty"`
	From    raft.NodeID `cbor:"3,keyasint,omitempty"`
	To      raft.NodeID `cbor:"4,keyasint,omitempty"`
	Term    raft.Term   `cbor:"5,keyasint,omitempty"`
	Body    B           `cbor:"6,keyasint"`
	Level   uint32      `cbor:"7,keyasint,omitempty"`
	Wall    uint64      `cbor:"8,keyasint,omitempty"`
}

// AppendMessage appends the encoding of m, at most MaxMessage bytes, to dst. On
// an error it returns dst as it was.
func AppendMessage(dst []byte, m raft.Message) ([]byte, error) {
	out, err := appendMessage(dst, m)
	if err != nil {
		return dst, fmt.Errorf("encode a message to %q: %w", m.To, err)
	}
	return out, nil
}

func appendMessage(dst []byte, m raft.Message) ([]byte, error) {
	if err := checkMessage(m); err != nil {
		return nil, err
	}
	k, body, err := fromBody(m.Body)
	if err != nil {
		return nil, err
	}
	out, err := appendCBOR(append(dst, messageVersion), &envelope[any]{
		Kind: k, Cluster: fromCluster(m.Cluster), From: m.From, To: m.To, Term: m.Term, Body: body, Level: m.Level, Wall: m.Wall,
	})
	if err != nil {
		return nil, err
	}
	if n := len(out) - len(dst); n > MaxMessage {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, n, MaxMessage)
	}
	return out, nil
}

// DecodeMessage reads a message from untrusted bytes. Data without bytes, and
// lists without elements, are nil. Errors wrap ErrVersion, ErrMalformed or
// ErrTooLarge; the answer to all is to drop the message and count it.
func DecodeMessage(b []byte) (raft.Message, error) {
	m, err := decodeMessage(b)
	if err != nil {
		return raft.Message{}, fmt.Errorf("decode a message: %w", err)
	}
	return m, nil
}

func decodeMessage(b []byte) (raft.Message, error) {
	if len(b) > MaxMessage {
		return raft.Message{}, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(b), MaxMessage)
	}
	content, err := unversion(b, messageVersion)
	if err != nil {
		return raft.Message{}, err
	}
	w, err := decodeLenient[envelope[cbor.RawMessage]](content)
	if err != nil {
		return raft.Message{}, err
	}
	cluster, err := toCluster(w.Cluster)
	if err != nil {
		return raft.Message{}, err
	}
	body, err := toBody(w.Kind, w.Body)
	if err != nil {
		return raft.Message{}, err
	}
	m := raft.Message{Cluster: cluster, From: w.From, To: w.To, Term: w.Term, Body: body, Level: w.Level, Wall: w.Wall}
	return m, checkMessage(m)
}
