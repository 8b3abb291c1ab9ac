package instagram

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"socialqueue/platform/wire"
)

// graphError is Meta's error shape (Handling Errors).
type graphError struct {
	present       bool
	code, subcode int64
	transient     bool
	message       string
	// forUsers holds the localised texts.
	forUsers []string
	trace    string
}

// text returns all texts of the error. The message is often just "Fatal"; the texts for
// users say more.
func (e graphError) text() string {
	return strings.Join(append([]string{e.message}, e.forUsers...), " | ")
}

// name returns "code/subcode", or the code alone.
func (e graphError) name() string {
	switch {
	case !e.present:
		return ""
	case e.subcode != 0:
		return fmt.Sprintf("%d/%d", e.code, e.subcode)
	}
	return fmt.Sprint(e.code)
}

var errNotJSON = errors.New("the answer is not JSON of Meta")

// parseError parses the error of an answer, if there is one. Numbers may come as strings,
// and any field may be missing.
func parseError(body []byte) (graphError, error) {
	var raw struct {
		Error json.RawMessage `json:"error"`
	}
	if trimmed := bytes.TrimSpace(body); len(trimmed) == 0 || trimmed[0] != '{' {
		return graphError{}, errNotJSON
	}
	if err := json.Unmarshal(body, &raw); err != nil {
		return graphError{}, fmt.Errorf("%w: %w", errNotJSON, err)
	}
	if len(raw.Error) == 0 || string(raw.Error) == "null" {
		return graphError{}, nil
	}
	var f struct {
		Message   wire.Scalar `json:"message"`
		Code      wire.Scalar `json:"code"`
		Subcode   wire.Scalar `json:"error_subcode"`
		Transient wire.Scalar `json:"is_transient"`
		Title     wire.Scalar `json:"error_user_title"`
		UserText  wire.Scalar `json:"error_user_msg"`
		Trace     wire.Scalar `json:"fbtrace_id"`
	}
	if raw.Error[0] != '{' {
		_ = f.Message.UnmarshalJSON(raw.Error) // never fails
	} else if err := json.Unmarshal(raw.Error, &f); err != nil {
		return graphError{}, fmt.Errorf("%w: %w", errNotJSON, err)
	}
	e := graphError{
		present: true, code: f.Code.Number(), subcode: f.Subcode.Number(), transient: f.Transient.Bool(),
		message: string(f.Message), trace: string(f.Trace),
	}
	for _, more := range []wire.Scalar{f.Title, f.UserText} {
		if more != "" {
			e.forUsers = append(e.forUsers, string(more))
		}
	}
	return e, nil
}

// decode decodes a graph answer. It passes the body of a success to read; otherwise it
// returns the typed error.
func (x *exchange) decode(resp *http.Response, read func(body []byte) error) error {
	body, err := wire.ReadBody(resp)
	var e graphError
	if err == nil {
		e, err = parseError(body)
	}
	if err != nil {
		return x.Fail(x.unread(resp), "", x.Hide.Err(err))
	}
	if e.present || resp.StatusCode < 200 || resp.StatusCode > 299 {
		return x.refusal(resp, e)
	}
	if err := read(body); err != nil {
		return x.Fail(x.Class.Lost(), "", x.Hide.Err(err))
	}
	return nil
}

func (x *exchange) refusal(resp *http.Response, e graphError) error {
	x.Code, x.Remedy = x.Hide.Text(e.name()), e.remedy()
	if e.trace != "" {
		x.LogID = x.Hide.Text(e.trace)
	}
	return x.Fail(judge(x.Op, x.Class, resp.StatusCode, e, resp.Header), e.text(), nil)
}

// unread returns the verdict on an answer whose body did not arrive or is not Meta's. A
// gateway's error page says nothing about the call, except for status 429.
func (x *exchange) unread(resp *http.Response) wire.Verdict {
	if resp.StatusCode == http.StatusTooManyRequests {
		v := throttled
		v.Wait = throttleWait(resp.Header)
		return v
	}
	return x.Class.Lost()
}

// idForm matches every id of Meta, and none that would change the path of a URL.
var idForm = regexp.MustCompile(`^[0-9A-Za-z_-]{1,64}$`)

// readID parses the id in an answer.
func readID(body []byte) (string, error) {
	var a struct {
		ID wire.Scalar `json:"id"`
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	if !idForm.MatchString(string(a.ID)) {
		return "", errors.New("answer without an id")
	}
	return string(a.ID), nil
}
