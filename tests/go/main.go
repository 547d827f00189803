// Command templates returns the results of Go's text/template, with which our engine is compared.
//
// Without arguments it reads requests, one JSON object in each line, and writes one answer in each
// line.
// `templates vectors` reads a list of test vectors and writes it with Go's answers filled in.
// `templates bench` measures one request, see bench.go.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/template"
	"time"
)

// A request is a template and its data. []byte is base64 in JSON.
type request struct {
	Name     string            `json:"name"`
	Template []byte            `json:"template"`
	Store    map[string][]byte `json:"store"`
	Env      map[string]string `json:"env"`
	// The root object. With a root object, confd's functions do not exist, as in the template of a
	// check command.
	Data map[string]string `json:"data"`
}

// An answer is the result of a request.
type answer struct {
	// ok, parse or exec; or limit, if the template exceeded a limit.
	Stage  string `json:"stage"`
	Output []byte `json:"output"`
	Error  []byte `json:"error"`
}

const (
	// The most bytes that a template may write.
	mostOutput = 4 << 20
	// The longest time that a template may take.
	mostTime = 5 * time.Second
)

// tooMuch is the panic of a function that is asked for more than a limit, and the error of the
// writer.
type tooMuch struct{}

func (tooMuch) Error() string { return "too much" }

func main() {
	mode := ""
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	var err error
	switch mode {
	case "":
		err = serve(os.Stdin, os.Stdout)
	case "vectors":
		err = fill(os.Stdin, os.Stdout)
	case "bench":
		err = bench(os.Stdin, os.Stdout)
	default:
		err = fmt.Errorf("no mode %q (vectors, bench)", mode)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "templates:", err)
		os.Exit(1)
	}
}

func serve(in io.Reader, out io.Writer) error {
	requests := bufio.NewReaderSize(in, 1<<20)
	answers := bufio.NewWriterSize(out, 1<<20)
	encoder := json.NewEncoder(answers)
	for {
		line, err := requests.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return answers.Flush()
		}
		if err != nil {
			return err
		}
		var request request
		if err := json.Unmarshal(line, &request); err != nil {
			return err
		}
		done := make(chan answer, 1)
		go func() { done <- run(request) }()
		select {
		case answer := <-done:
			if err := encoder.Encode(answer); err != nil {
				return err
			}
		case <-time.After(mostTime):
			// Only the end of the process stops a template. The client starts a new one.
			if err := encoder.Encode(answer{Stage: "limit"}); err != nil {
				return err
			}
			return answers.Flush()
		}
		if requests.Buffered() == 0 {
			if err := answers.Flush(); err != nil {
				return err
			}
		}
	}
}

// run parses the template and executes it.
func run(request request) (result answer) {
	defer func() {
		// Go turns the panic of a function into an error, but not other panics.
		if panicked := recover(); panicked != nil {
			result = answer{Stage: "limit", Error: fmt.Append(nil, panicked)}
		}
	}()
	parsed, err := parse(request)
	if err != nil {
		return answer{Stage: "parse", Error: []byte(err.Error())}
	}
	var output output
	if err := execute(parsed, request, &output); errors.As(err, &tooMuch{}) {
		return answer{Stage: "limit"}
	} else if err != nil {
		return answer{Stage: "exec", Output: output.bytes, Error: []byte(err.Error())}
	}
	return answer{Stage: "ok", Output: output.bytes}
}

func parse(request request) (*template.Template, error) {
	parsed := template.New(request.Name)
	if request.Data == nil {
		keys := make(store, len(request.Store))
		for key, value := range request.Store {
			keys[key] = string(value)
		}
		parsed.Funcs(functions(world{store: keys, env: request.Env}))
	}
	return parsed.Parse(string(request.Template))
}

func execute(parsed *template.Template, request request, out io.Writer) error {
	if request.Data == nil {
		return parsed.Execute(out, nil)
	}
	return parsed.Execute(out, request.Data)
}

// output collects what a template writes, up to a limit.
type output struct{ bytes []byte }

func (o *output) Write(bytes []byte) (int, error) {
	if len(o.bytes)+len(bytes) > mostOutput {
		return 0, tooMuch{}
	}
	o.bytes = append(o.bytes, bytes...)
	return len(bytes), nil
}
