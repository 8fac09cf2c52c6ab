package udpcomms

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/edgeraft/edgeraft/raft"
)

const (
	bookVersion = 1
	// maxBook is the most bytes of an encoded Book. Longer ones are refused.
	maxBook = 64 << 10
	// maxKept is how many addresses of one device a Book has, the last ones.
	maxKept = 4
)

// Book is where devices were when they were last heard, to be kept over a
// restart. What it says is tried, and believed in nothing.
type Book []Entry

// Entry is one device of a Book.
type Entry struct {
	ID raft.NodeID
	// Addrs are 1 to 4 addresses that packets of the device came from, the last
	// one first.
	Addrs []netip.AddrPort
}

var errBadBook = errors.New("not a list of addresses")

type (
	bookFile struct {
		Version int         `json:"version"`
		Devices []bookEntry `json:"devices"`
	}
	bookEntry struct {
		ID    raft.NodeID `json:"id"`
		Addrs []string    `json:"addresses"`
	}
)

// Encode writes the book as one line of JSON for each device, for people too.
func (b Book) Encode() []byte {
	var out strings.Builder
	fmt.Fprintf(&out, "{\"version\":%d,\"devices\":[", bookVersion)
	for i, e := range b {
		entry := bookEntry{ID: e.ID}
		for _, a := range e.Addrs {
			entry.Addrs = append(entry.Addrs, a.String())
		}
		line, err := json.Marshal(entry)
		if err != nil {
			panic("udpcomms: strings did not encode: " + err.Error())
		}
		if i > 0 {
			out.WriteByte(',')
		}
		out.WriteByte('\n')
		out.Write(line)
	}
	out.WriteString("\n]}\n")
	return []byte(out.String())
}

// ParseBook reads a book. Entries that make no sense are left out, and so are
// those beyond the size of the address book.
func ParseBook(text []byte) (Book, error) {
	if len(text) > maxBook {
		return nil, fmt.Errorf("%w: it has %d bytes, the limit is %d", errBadBook, len(text), maxBook)
	}
	var f bookFile
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, fmt.Errorf("%w: %w", errBadBook, err)
	}
	if f.Version != bookVersion {
		return nil, fmt.Errorf("%w of version %d, but of version %d", errBadBook, bookVersion, f.Version)
	}
	var b Book
	for _, line := range f.Devices {
		e := Entry{ID: line.ID}
		for _, text := range line.Addrs {
			parsed, err := netip.ParseAddrPort(text)
			a, ok := usableAddr(parsed)
			if err == nil && ok && len(e.Addrs) < maxKept && !slices.Contains(e.Addrs, a) {
				e.Addrs = append(e.Addrs, a)
			}
		}
		twice := slices.ContainsFunc(b, func(o Entry) bool { return o.ID == e.ID })
		if e.ID.Valid() && len(e.Addrs) > 0 && !twice && len(b) < maxPeers {
			b = append(b, e)
		}
	}
	return b, nil
}

// With returns the book with what is known of these devices now, in the order of
// IDs, and without all others. A device that was not heard keeps what the book
// has. It reports whether an address is in it that was not there before, or a
// device is gone: only then is it worth writing.
func (b Book) With(peers []Peer, keep func(raft.NodeID) bool) (next Book, changed bool) {
	for _, e := range b {
		if keep(e.ID) {
			next = append(next, Entry{e.ID, slices.Clone(e.Addrs)})
		}
	}
	changed = len(next) != len(b)
	for _, p := range peers {
		if !p.Addr.IsValid() || !keep(p.ID) {
			continue
		}
		i := slices.IndexFunc(next, func(e Entry) bool { return e.ID == p.ID })
		if i < 0 {
			if len(next) == maxPeers {
				continue
			}
			i = len(next)
			next = append(next, Entry{ID: p.ID})
		}
		if e := &next[i]; !slices.Contains(e.Addrs, p.Addr) {
			e.Addrs = slices.Insert(e.Addrs, 0, p.Addr)
			e.Addrs = e.Addrs[:min(len(e.Addrs), maxKept)]
			changed = true
		}
	}
	slices.SortFunc(next, func(a, b Entry) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return next, changed
}
