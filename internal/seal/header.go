package seal

import (
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/edgeraft/edgeraft/raft"
)

const (
	// What a packet is, in its first byte: for the caller, or for the Sealer at
	// the other end.
	versionData    = 1
	versionControl = 2

	idLen      = 10 // a raft.NodeID is these 80 bits in base32
	sessionLen = 16

	offSender    = 2
	offRecipient = offSender + idLen
	offSession   = offRecipient + idLen
	offCounter   = offSession + sessionLen
	headerLen    = offCounter + 8
	offNonce     = headerLen - chacha20poly1305.NonceSize
)

// maxPlain is the most plaintext of a packet that is kept while its session is
// unproved, in bytes. Transports send no longer ones.
const maxPlain = 1200

// Overhead is how many bytes a sealed packet is longer than its plaintext.
const Overhead = headerLen + chacha20poly1305.Overhead

type (
	deviceID [idLen]byte
	// sessionID is a boot number and 8 random bytes drawn at that boot.
	sessionID [sessionLen]byte
)

// boot is the session's boot number.
func (s sessionID) boot() uint64 { return binary.BigEndian.Uint64(s[:8]) }

// anyone is the recipient of a packet that whoever gets it may open.
var anyone deviceID

var errBadID = errors.New("not a valid device ID")

// toDeviceID packs a NodeID. The one that would look like anyone is refused;
// a random ID is never it.
func toDeviceID(id raft.NodeID) (deviceID, error) {
	if !id.Valid() {
		return deviceID{}, fmt.Errorf("%w: %q", errBadID, string(id))
	}
	var raw [raft.NodeIDLen]byte
	for i := range raw {
		raw[i] = id[i]
		if 'a' <= raw[i] && raw[i] <= 'z' {
			raw[i] -= 'a' - 'A'
		}
	}
	var packed deviceID
	if n, err := base32.StdEncoding.Decode(packed[:], raw[:]); err != nil || n != idLen || packed == anyone {
		return deviceID{}, fmt.Errorf("%w: %q", errBadID, string(id))
	}
	return packed, nil
}

// header reads the fields of a packet that is long enough.
type header []byte

func (h header) sender() deviceID    { return deviceID(h[offSender:]) }
func (h header) recipient() deviceID { return deviceID(h[offRecipient:]) }
func (h header) session() sessionID  { return sessionID(h[offSession:]) }
func (h header) counter() uint64     { return binary.BigEndian.Uint64(h[offCounter:]) }
