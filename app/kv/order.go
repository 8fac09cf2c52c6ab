package kv

import (
	"slices"
	"sort"
)

// chunkKeys bounds what one insertion moves: 512 strings are 8 KiB.
const chunkKeys = 512

// order is a sorted set of keys, in chunks that are sorted, not empty and of
// at most chunkKeys keys.
type order struct {
	chunks [][]string
}

// locate returns the chunk in which key is or would be, its position there,
// and whether it is there. In an empty set the chunk is -1.
func (o *order) locate(key string) (chunk, pos int, found bool) {
	chunk = sort.Search(len(o.chunks), func(i int) bool { return o.chunks[i][0] > key }) - 1
	if chunk < 0 {
		if len(o.chunks) == 0 {
			return -1, 0, false
		}
		return 0, 0, false
	}
	pos, found = slices.BinarySearch(o.chunks[chunk], key)
	return chunk, pos, found
}

// insert adds key if it is not there.
func (o *order) insert(key string) {
	c, pos, found := o.locate(key)
	if found {
		return
	}
	if c < 0 {
		o.chunks = append(o.chunks, []string{key})
		return
	}
	keys := slices.Insert(o.chunks[c], pos, key)
	o.chunks[c] = keys
	if len(keys) > chunkKeys {
		half := len(keys) / 2
		o.chunks = slices.Insert(o.chunks, c+1, slices.Clone(keys[half:]))
		clear(keys[half:]) // lets go of the strings
		o.chunks[c] = keys[:half]
	}
}

// remove takes key out if it is there.
func (o *order) remove(key string) {
	c, pos, found := o.locate(key)
	if !found {
		return
	}
	o.chunks[c] = slices.Delete(o.chunks[c], pos, pos+1)
	if len(o.chunks[c]) == 0 {
		o.chunks = slices.Delete(o.chunks, c, c+1)
	}
}

// ascend calls visit for every key from the first one not below start, in
// order of bytes, until visit returns false.
func (o *order) ascend(start string, visit func(key string) bool) {
	c, pos, _ := o.locate(start)
	for c = max(c, 0); c < len(o.chunks); c, pos = c+1, 0 {
		for _, key := range o.chunks[c][pos:] {
			if !visit(key) {
				return
			}
		}
	}
}
