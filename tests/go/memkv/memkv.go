// Package memkv has the types of confd's store that a template can see. The package has this
// name because it shows in error texts and in what %T and %#v print.
package memkv

// KVPair is what get gives.
type KVPair struct {
	Key   string
	Value string
}

// KVPairs is what gets gives: pairs with the methods that Go's sorting needs, which templates
// therefore have too.
type KVPairs []KVPair

func (pairs KVPairs) Len() int { return len(pairs) }

func (pairs KVPairs) Less(i, j int) bool { return pairs[i].Key < pairs[j].Key }

func (pairs KVPairs) Swap(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] }
