package main

import (
	"errors"
	"maps"
	"path"
	"slices"
	"sort"
	"strings"

	"templates/memkv"
)

// store has the keys that confd's functions read.
type store map[string]string

func (s store) exists(key string) bool {
	_, found := s[key]
	return found
}

func (s store) get(key string) (memkv.KVPair, error) {
	value, found := s[key]
	if !found {
		return memkv.KVPair{}, errors.New("key does not exist: " + key)
	}
	return memkv.KVPair{Key: key, Value: value}, nil
}

func (s store) getv(key string, fallback ...string) (string, error) {
	pair, err := s.get(key)
	if err != nil && len(fallback) > 0 {
		return fallback[0], nil
	}
	return pair.Value, err
}

func (s store) gets(pattern string) (memkv.KVPairs, error) {
	pairs := make(memkv.KVPairs, 0)
	for key, value := range s {
		matches, err := path.Match(pattern, key)
		if err != nil {
			return nil, err
		}
		if matches {
			pairs = append(pairs, memkv.KVPair{Key: key, Value: value})
		}
	}
	sort.Sort(pairs)
	return pairs, nil
}

func (s store) getvs(pattern string) ([]string, error) {
	values := make([]string, 0)
	pairs, err := s.gets(pattern)
	if err != nil {
		return values, err
	}
	for _, pair := range pairs {
		values = append(values, pair.Value)
	}
	sort.Strings(values)
	return values, nil
}

// ls lists the keys and folders directly below folder.
func (s store) ls(folder string) []string {
	names := make(map[string]bool)
	for key := range s {
		if key == folder {
			names[path.Base(key)] = true
		}
		if begins(terms(path.Dir(key)), terms(folder)) {
			rest := strings.TrimPrefix(strings.TrimPrefix(key, folder), "/")
			name, _, _ := strings.Cut(rest, "/")
			names[name] = true
		}
	}
	return sorted(names)
}

// lsdir lists the folders directly below folder.
func (s store) lsdir(folder string) []string {
	names := make(map[string]bool)
	for key := range s {
		if !strings.HasPrefix(key, folder) {
			continue
		}
		here, inside := terms(folder), terms(path.Dir(key))
		if begins(inside, here) && len(inside) > len(here) {
			names[inside[len(here)]] = true
		}
	}
	return sorted(names)
}

func terms(name string) []string {
	return strings.Split(path.Clean(name), "/")
}

func begins(long, start []string) bool {
	return len(long) >= len(start) && slices.Equal(long[:len(start)], start)
}

// sorted returns the names as a list that was built by appending; templates can see its capacity.
func sorted(names map[string]bool) []string {
	list := make([]string, 0)
	for name := range maps.Keys(names) {
		list = append(list, name)
	}
	sort.Strings(list)
	return list
}
