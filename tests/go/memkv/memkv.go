// Package memkv has the types of confd's store that a template can see. The name of the package is
// confd's, because error texts, %T and %#v show it.
package memkv

// KVPair is the result of get.
type KVPair struct {
	Key   string
	Value string
}

// KVPairs is the result of gets: pairs, with the methods that Go's sorting needs. Templates can call
// these methods too.
type KVPairs []KVPair

func (pairs KVPairs) Len() int { return len(pairs) }

func (pairs KVPairs) Less(i, j int) bool { return pairs[i].Key < pairs[j].Key }

func (pairs KVPairs) Swap(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] }
