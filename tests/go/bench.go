package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"text/template"
	"time"
)

// A measurement asks for a request to be served many times.
type measurement struct {
	request
	Rounds int `json:"rounds"`
	// Whether only parsing is measured.
	OnlyParse bool `json:"only_parse"`
}

// figures are the nanoseconds of each round, the output of the last round, and the peak of the
// process's memory while it worked.
type figures struct {
	Nanos   []int64 `json:"nanos"`
	Output  []byte  `json:"output"`
	PeakKiB int     `json:"peak_kib"`
}

// bench serves the one measurement in in. Only the store and the table of functions are made before
// the rounds; each round parses the template again.
func bench(in io.Reader, out io.Writer) error {
	var wanted measurement
	if err := json.NewDecoder(in).Decode(&wanted); err != nil {
		return err
	}
	keys := make(store, len(wanted.Store))
	for key, value := range wanted.Store {
		keys[key] = string(value)
	}
	wanted.Store = nil
	table := functions(world{store: keys, env: wanted.Env})
	source := string(wanted.Template)
	result := figures{Nanos: make([]int64, 0, wanted.Rounds)}
	debug.FreeOSMemory()
	if err := forgetPeak(); err != nil {
		return err
	}
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
	var err error
	if result.PeakKiB, err = peakKiB(); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// forgetPeak makes Linux measure the peak of this process's memory from now on.
func forgetPeak() error {
	return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

// peakKiB is the peak of this process's memory since then.
func peakKiB() (int, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, line, _ := bytes.Cut(status, []byte("VmHWM:"))
	var kib int
	_, err = fmt.Sscan(string(line), &kib)
	return kib, err
}
