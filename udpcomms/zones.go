package udpcomms

import (
	"net"
	"strconv"
	"sync"
	"time"
)

// zones knows the names and numbers of the interfaces, which the zones of
// link-local addresses are (RFC 4007). It is safe for concurrent use.
type zones struct {
	mu     sync.Mutex
	looked time.Time
	names  map[int]string
	number map[string]int
}

// zonesFor is how long what was found is good. What is not known is looked for
// once in zonesAgain at most.
const (
	zonesFor   = time.Minute
	zonesAgain = time.Second
)

// name is the name of an interface; of one that is not known, its number.
func (z *zones) name(index int) string {
	z.mu.Lock()
	defer z.mu.Unlock()
	name, ok := z.names[index]
	if z.look(ok) {
		name, ok = z.names[index]
	}
	if !ok {
		return strconv.Itoa(index)
	}
	return name
}

// index is the number of an interface that is named, or of one that is not known
// and has a number for a name; else 0, which is none.
func (z *zones) index(name string) int {
	z.mu.Lock()
	defer z.mu.Unlock()
	index, ok := z.number[name]
	if z.look(ok) {
		index, ok = z.number[name]
	}
	if !ok {
		index, _ = strconv.Atoi(name)
	}
	return index
}

// look looks again if need be, and reports whether it did. The caller holds mu.
func (z *zones) look(known bool) bool {
	now := time.Now()
	if age := now.Sub(z.looked); known && age < zonesFor || !known && age < zonesAgain {
		return false
	}
	z.looked = now
	all, err := net.Interfaces()
	if err != nil {
		return false // what was known is better than nothing
	}
	z.names, z.number = make(map[int]string, len(all)), make(map[string]int, len(all))
	for _, i := range all {
		z.names[i.Index], z.number[i.Name] = i.Name, i.Index
	}
	return true
}
