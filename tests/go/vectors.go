package main

import (
	"encoding/json"
	"io"
	"unicode/utf8"
)

// A vector is a named case, as the tests read it. If a text is not UTF-8, the field with the ending
// _b64 has it.
type vector struct {
	Name             string            `json:"name"`
	Template         *string           `json:"template,omitempty"`
	TemplateB64      []byte            `json:"template_b64,omitempty"`
	TemplateName     string            `json:"template_name,omitempty"`
	Store            map[string]string `json:"store,omitempty"`
	Env              map[string]string `json:"env,omitempty"`
	Data             map[string]string `json:"data,omitempty"`
	Stage            string            `json:"stage"`
	WantOutput       *string           `json:"want_output,omitempty"`
	WantOutputB64    []byte            `json:"want_output_b64,omitempty"`
	PartialOutput    *string           `json:"partial_output,omitempty"`
	PartialOutputB64 []byte            `json:"partial_output_b64,omitempty"`
	WantError        *string           `json:"want_error,omitempty"`
	WantErrorB64     []byte            `json:"want_error_b64,omitempty"`
	Note             string            `json:"note,omitempty"`
}

// fill writes the vectors in in, each with Go's result.
func fill(in io.Reader, out io.Writer) error {
	var vectors []vector
	if err := json.NewDecoder(in).Decode(&vectors); err != nil {
		return err
	}
	for i := range vectors {
		vectors[i].judge()
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(vectors)
}

func (v *vector) judge() {
	request := request{Name: v.TemplateName, Template: v.TemplateB64, Env: v.Env, Data: v.Data}
	if request.Name == "" {
		request.Name = "test.tmpl"
	}
	if v.Template != nil {
		request.Template = []byte(*v.Template)
	}
	request.Store = make(map[string][]byte, len(v.Store))
	for key, value := range v.Store {
		request.Store[key] = []byte(value)
	}
	answer := run(request)
	v.Stage = answer.Stage
	v.WantOutput, v.WantOutputB64 = nil, nil
	v.PartialOutput, v.PartialOutputB64 = nil, nil
	v.WantError, v.WantErrorB64 = nil, nil
	switch answer.Stage {
	case "ok":
		v.WantOutput, v.WantOutputB64 = text(answer.Output)
	case "exec":
		v.PartialOutput, v.PartialOutputB64 = text(answer.Output)
		fallthrough
	default:
		v.WantError, v.WantErrorB64 = text(answer.Error)
	}
}

func text(bytes []byte) (*string, []byte) {
	if !utf8.Valid(bytes) {
		return nil, bytes
	}
	text := string(bytes)
	return &text, nil
}
