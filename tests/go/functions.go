package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"os"
	"path"
	"sort"
	"strconv"
	"strings"
	"text/template"
	"time"

	"templates/memkv"
)

// world is the data and the machine that the functions of one template can use.
type world struct {
	store store
	env   map[string]string
}

// The time that datetime returns, and the records that lookupSRV finds for any service of srvDomain.
// The engine that is compared must use the same.
var (
	now       = time.Date(2026, time.November, 21, 6, 32, 9, 781786419, time.UTC)
	srvDomain = "example.com"
)

func records() []*net.SRV {
	return []*net.SRV{
		{Target: "a.example.com.", Port: 80, Priority: 1, Weight: 10},
		{Target: "b.example.com.", Port: 8080, Priority: 2, Weight: 0},
	}
}

// most is the greatest number of elements of a list.
const most = 1 << 20

// functions are confd's functions. confd's documentation and the vectors of the tests describe
// them; no code is taken from confd.
func functions(w world) template.FuncMap {
	return template.FuncMap{
		"exists": w.store.exists,
		"get":    w.store.get,
		"getv":   w.store.getv,
		"gets":   w.store.gets,
		"getvs":  w.store.getvs,
		"ls":     w.store.ls,
		"lsdir":  w.store.lsdir,

		"base":       path.Base,
		"dir":        path.Dir,
		"contains":   strings.Contains,
		"split":      strings.Split,
		"join":       strings.Join,
		"replace":    strings.Replace,
		"toUpper":    strings.ToUpper,
		"toLower":    strings.ToLower,
		"trimSuffix": strings.TrimSuffix,

		"add":       func(a, b int) int { return a + b },
		"sub":       func(a, b int) int { return a - b },
		"mul":       func(a, b int) int { return a * b },
		"div":       func(a, b int) int { return a / b },
		"mod":       func(a, b int) int { return a % b },
		"seq":       seq,
		"atoi":      strconv.Atoi,
		"parseBool": strconv.ParseBool,

		"json":         object,
		"jsonArray":    array,
		"base64Encode": func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) },
		"base64Decode": decode,
		"map":          entries,

		"reverse":        reverse,
		"sortByLength":   sortByLength,
		"sortKVByLength": sortKVByLength,

		"getenv":     w.getenv,
		"datetime":   func() time.Time { return now },
		"fileExists": fileExists,
		"lookupIP":   func(name string) []string { return addresses(name, "") },
		"lookupIPV4": func(name string) []string { return addresses(name, ".") },
		"lookupIPV6": func(name string) []string { return addresses(name, ":") },
		"lookupSRV":  lookupSRV,
	}
}

func seq(first, last int) []int {
	if first <= last && uint(last)-uint(first) >= most {
		panic(tooMuch{})
	}
	var numbers []int
	for number := first; number <= last; number++ {
		numbers = append(numbers, number)
	}
	return numbers
}

func object(text string) (map[string]any, error) {
	var value map[string]any
	err := json.Unmarshal([]byte(text), &value)
	return value, err
}

func array(text string) ([]any, error) {
	var value []any
	err := json.Unmarshal([]byte(text), &value)
	return value, err
}

func decode(text string) (string, error) {
	bytes, err := base64.StdEncoding.DecodeString(text)
	return string(bytes), err
}

func entries(values ...any) (map[string]any, error) {
	if len(values)%2 != 0 {
		return nil, errors.New("invalid map call")
	}
	entries := make(map[string]any)
	for i := 0; i < len(values); i += 2 {
		key, isText := values[i].(string)
		if !isText {
			return nil, errors.New("map keys must be strings")
		}
		entries[key] = values[i+1]
	}
	return entries, nil
}

// reverse changes lists of these two types and returns everything else unchanged. The result of
// gets is of neither type.
func reverse(list any) any {
	switch list := list.(type) {
	case []string:
		for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
			list[i], list[j] = list[j], list[i]
		}
	case []memkv.KVPair:
		for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
			list[i], list[j] = list[j], list[i]
		}
	}
	return list
}

// confd leaves the order of equal lengths to Go's sorting; here they keep their order.

func sortByLength(texts []string) []string {
	sort.SliceStable(texts, func(i, j int) bool { return len(texts[i]) < len(texts[j]) })
	return texts
}

func sortKVByLength(pairs []memkv.KVPair) []memkv.KVPair {
	sort.SliceStable(pairs, func(i, j int) bool { return len(pairs[i].Key) < len(pairs[j].Key) })
	return pairs
}

func (w world) getenv(name string, fallback ...string) string {
	value := w.env[name]
	if value == "" && len(fallback) > 0 {
		return fallback[0]
	}
	return value
}

func fileExists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

// addresses makes no lookup: the name must be an address.
func addresses(name, with string) []string {
	var texts []string
	if address := net.ParseIP(name); address != nil && strings.Contains(address.String(), with) {
		texts = append(texts, address.String())
	}
	return texts
}

func lookupSRV(service, protocol, name string) []*net.SRV {
	if name != srvDomain {
		return []*net.SRV{}
	}
	return records()
}
