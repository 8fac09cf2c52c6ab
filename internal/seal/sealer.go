package seal

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/edgeraft/edgeraft/raft"
)

const (
	// maxCounter ends a session long before its counter could wrap, however
	// many goroutines count at the same time.
	maxCounter = 1 << 62
	// maxClusterName is the most bytes of a cluster's name. New refuses more.
	maxClusterName = 255
)

// Sealer seals the packets of one device in one run of its agent, and opens
// those of the others. All methods are safe for concurrent use.
type Sealer struct {
	secret  []byte // of key and cluster name; subkeys are derived from it
	keyID   byte
	self    deviceID
	session sessionID
	aead    cipher.AEAD // of our own session
	counter atomic.Uint64

	mu      sync.Mutex
	senders map[deviceID]*sender // authenticated ones only
}

// New prepares sealing for the device self in the cluster of this key and name.
// boot must grow with every start of the device, and be on stable storage
// before New is called; else the others refuse its packets as old.
func New(key Key, cluster string, self raft.NodeID, boot uint64) (*Sealer, error) {
	if key.IsZero() {
		return nil, errors.New("prepare encryption: the cluster key is empty")
	}
	if cluster == "" || len(cluster) > maxClusterName {
		return nil, fmt.Errorf("prepare encryption: the cluster's name must have 1 to %d bytes, not %d", maxClusterName, len(cluster))
	}
	id, err := toDeviceID(self)
	if err != nil {
		return nil, fmt.Errorf("prepare encryption: %w", err)
	}
	s := &Sealer{self: id, senders: map[deviceID]*sender{}}
	if s.keyID, err = key.id(); err != nil {
		return nil, fmt.Errorf("prepare encryption: %w", err)
	}
	if s.secret, err = hkdf.Extract(sha256.New, key.bytes[:], []byte(cluster)); err != nil {
		return nil, fmt.Errorf("prepare encryption: extract: %w", err)
	}
	binary.BigEndian.PutUint64(s.session[:], boot)
	rand.Read(s.session[8:]) // never fails: it ends the process instead (crypto/rand)
	if s.aead, err = s.subkey(id, s.session); err != nil {
		return nil, fmt.Errorf("prepare encryption: %w", err)
	}
	return s, nil
}

// subkey derives the key of one session of one sender.
func (s *Sealer) subkey(id deviceID, session sessionID) (cipher.AEAD, error) {
	const label = "edgeraft datagram 1"
	info := append(append([]byte(label), id[:]...), session[:]...)
	key, err := hkdf.Expand(sha256.New, s.secret, string(info), chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive a subkey: %w", err)
	}
	return chacha20poly1305.New(key)
}

// Seal appends the sealed plaintext, Overhead bytes longer, to dst. Only the
// device to can open it; with "" any that holds the key. dst must not overlap
// plaintext. On an error, ErrExhausted or an ID that is none, dst is returned
// as it was.
func (s *Sealer) Seal(dst []byte, to raft.NodeID, plaintext []byte) ([]byte, error) {
	recipient := anyone
	if to != "" {
		var err error
		if recipient, err = toDeviceID(to); err != nil {
			return dst, fmt.Errorf("seal a packet: %w", err)
		}
	}
	counter := s.counter.Add(1)
	if counter >= maxCounter {
		return dst, fmt.Errorf("seal a packet: %w", ErrExhausted)
	}
	start := len(dst)
	dst = append(dst, version, s.keyID)
	dst = append(dst, s.self[:]...)
	dst = append(dst, recipient[:]...)
	dst = append(dst, s.session[:]...)
	dst = binary.BigEndian.AppendUint64(dst, counter)
	h := dst[start:]
	return s.aead.Seal(dst, h[offNonce:], plaintext, h), nil
}
