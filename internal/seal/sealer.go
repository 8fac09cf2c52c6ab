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
	"time"

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
// those of the others. Each transport has its own. All methods are safe for
// concurrent use.
type Sealer struct {
	cluster string
	self    deviceID
	session sessionID
	counter atomic.Uint64
	keys    atomic.Pointer[[]ringKey] // never empty; replaced as a whole
	marks   marks

	mu      sync.Mutex
	epoch   epoch
	senders map[deviceID]*sender // of proved sessions only, at most maxSenders
	held    []heldPacket         // oldest first, at most maxHeld
	used    uint64               // counts admissions, for sender.used

	toldOutdated time.Time // guarded by mu
	supersede    sync.Once
	isSuperseded chan struct{}
}

// ringKey is one key of the ring, and what is derived from it.
type ringKey struct {
	id     KeyID
	secret []byte      // of key and cluster name; subkeys are derived from it
	own    cipher.AEAD // of our own session
}

// New prepares sealing for the device self in the cluster of this key and name.
// boot must grow with every start of the device, and be on stable storage
// before New is called; else the others refuse its packets as old.
func New(key Key, cluster string, self raft.NodeID, boot uint64) (*Sealer, error) {
	var random [8]byte
	rand.Read(random[:]) // never fails: it ends the process instead (crypto/rand)
	return newWith(random, key, cluster, self, boot)
}

// newWith is New with the random part of the session given.
func newWith(random [8]byte, key Key, cluster string, self raft.NodeID, boot uint64) (*Sealer, error) {
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
	s := &Sealer{cluster: cluster, self: id, senders: map[deviceID]*sender{}, isSuperseded: make(chan struct{})}
	binary.BigEndian.PutUint64(s.session[:], boot)
	copy(s.session[8:], random[:])
	s.epoch.begin(s.session)
	s.marks.began = time.Now()
	return s, s.SetRing(Ring{[]Key{key}})
}

// SetRing replaces the keys, at once and for all: packets sealed with others are
// refused from then on. Peers should be sent a Report then.
func (s *Sealer) SetRing(r Ring) error {
	if len(r.keys) == 0 {
		return fmt.Errorf("prepare encryption: %w: it is empty", ErrRing)
	}
	var keys []ringKey
	for _, key := range r.keys {
		k := ringKey{id: key.ID()}
		var err error
		if k.secret, err = hkdf.Extract(sha256.New, key.bytes[:], []byte(s.cluster)); err != nil {
			return fmt.Errorf("prepare encryption: extract: %w", err)
		}
		if k.own, err = k.subkey(s.self, s.session); err != nil {
			return fmt.Errorf("prepare encryption: %w", err)
		}
		keys = append(keys, k)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys.Store(&keys)
	for _, from := range s.senders {
		from.keep(keys)
	}
	s.held = nil
	return nil
}

// KeyIDs are those of the ring, the preferred one first.
func (s *Sealer) KeyIDs() []KeyID {
	var ids []KeyID
	for _, k := range *s.keys.Load() {
		ids = append(ids, k.id)
	}
	return ids
}

// subkey derives the key of one session of one sender.
func (k *ringKey) subkey(id deviceID, session sessionID) (cipher.AEAD, error) {
	const label = "edgeraft datagram 1"
	info := append(append([]byte(label), id[:]...), session[:]...)
	key, err := hkdf.Expand(sha256.New, k.secret, string(info), chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("derive a subkey: %w", err)
	}
	return chacha20poly1305.New(key)
}

// Seal appends the sealed plaintext, Overhead bytes longer, to dst. Only the
// device to can open it; with "" any that holds the key. dst must not overlap
// plaintext. On an error, ErrExhausted or an ID that is none, dst is returned
// as it was.
//
// While the ring has several keys, it is sealed with the first that the device
// is known to have, else with one at random: what is lost for that is repeated.
func (s *Sealer) Seal(dst []byte, to raft.NodeID, plaintext []byte) ([]byte, error) {
	recipient := anyone
	if to != "" {
		var err error
		if recipient, err = toDeviceID(to); err != nil {
			return dst, fmt.Errorf("seal a packet: %w", err)
		}
	}
	return s.seal(dst, versionData, s.keyFor(recipient), recipient, plaintext)
}

func (s *Sealer) seal(dst []byte, kind byte, key *ringKey, to deviceID, plaintext []byte) ([]byte, error) {
	s.marks.note(&s.counter)
	counter := s.counter.Add(1)
	if counter >= maxCounter {
		return dst, fmt.Errorf("seal a packet: %w", ErrExhausted)
	}
	start := len(dst)
	dst = append(dst, kind, key.id[0])
	dst = append(dst, s.self[:]...)
	dst = append(dst, to[:]...)
	dst = append(dst, s.session[:]...)
	dst = binary.BigEndian.AppendUint64(dst, counter)
	h := dst[start:]
	return key.own.Seal(dst, h[offNonce:], plaintext, h), nil
}
