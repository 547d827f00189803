package main

import (
	"bytes"
	"encoding/json"
	"io"
	"text/template"
	"time"
)

// A measurement asks for a request to be served again and again.
type measurement struct {
	request
	Rounds int `json:"rounds"`
	// Whether only the parsing is measured.
	OnlyParse bool `json:"only_parse"`
}

// figures are the nanoseconds of each round, and what the template wrote in the last one.
type figures struct {
	Nanos  []int64 `json:"nanos"`
	Output []byte  `json:"output"`
}

// bench serves the one measurement of in. Only the store and the table of functions are made
// before; each round parses the template anew.
func bench(in io.Reader, out io.Writer) error {
	var wanted measurement
	if err := json.NewDecoder(in).Decode(&wanted); err != nil {
		return err
	}
	keys := make(store, len(wanted.Store))
	for key, value := range wanted.Store {
		keys[key] = string(value)
	}
	table := functions(world{store: keys, env: wanted.Env})
	source := string(wanted.Template)
	result := figures{Nanos: make([]int64, 0, wanted.Rounds)}
	for range wanted.Rounds {
		start := time.Now()
		parsed, err := template.New(wanted.Name).Funcs(table).Parse(source)
		if err != nil {
			return err
		}
		if !wanted.OnlyParse {
			var written bytes.Buffer
			if err := parsed.Execute(&written, nil); err != nil {
				return err
			}
			result.Output = written.Bytes()
		}
		result.Nanos = append(result.Nanos, time.Since(start).Nanoseconds())
	}
	return json.NewEncoder(out).Encode(result)
}
