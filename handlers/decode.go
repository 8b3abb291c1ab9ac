package handlers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"socialqueue/models"
)

// fields maps the name of each field of a request to a pointer for its value. JSON bodies
// and multipart forms share it. Other names are refused.
type fields map[string]any

const notAField = "is not a field of this request"

// decode reads a JSON object. Malformed JSON is a 400. All wrong values of a well-formed
// object are returned together as models.FieldErrors.
//
// It walks the object itself because encoding/json accepts too much for a system that
// cannot take back a post: names in another case, repeated names, and text that is not
// Unicode.
func (f fields) decode(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return badRequest("the body is empty; send a JSON object")
	}
	if !json.Valid(body) {
		return badRequest("the body is not valid JSON" + where(body))
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return &problem{status: 422, code: codeValidation, detail: "the body must be a JSON object"}
	}
	var errs models.FieldErrors
	seen := map[string]bool{}
	for dec.More() {
		name, value, err := member(dec)
		if err != nil {
			return badRequest("the body is not valid JSON")
		}
		if first(&errs, seen, name) {
			f.set(&errs, name, value)
		}
	}
	return errs.Err()
}

func member(dec *json.Decoder) (name string, value json.RawMessage, err error) {
	token, err := dec.Token()
	if err != nil {
		return "", nil, err
	}
	name, _ = token.(string)
	err = dec.Decode(&value)
	return name, value, err
}

// where returns the position of a syntax error.
func where(body []byte) string {
	var any json.RawMessage
	if syntax, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(body, &any)); ok {
		return fmt.Sprintf(": %v, at byte %d", syntax, syntax.Offset)
	}
	return ""
}

// first reports whether a name is new, and adds an error if it is repeated.
func first(errs *models.FieldErrors, seen map[string]bool, name string) bool {
	if seen[name] {
		errs.Add(shown(name), "is given twice")
		return false
	}
	seen[name] = true
	return true
}

// set decodes one JSON value into its field.
func (f fields) set(errs *models.FieldErrors, name string, value []byte) {
	target, ok := f[name]
	switch {
	case !ok:
		errs.Add(shown(name), notAField)
	case !utf8.Valid(value):
		errs.Add(name, "is not valid UTF-8")
	case unmarshal(value, target) != nil:
		errs.Add(name, "must be %s", wanted(target))
	case !cleanText(target, value):
		errs.Add(name, "contains an invalid character: NUL or half a surrogate pair")
	}
}

// setText decodes one value of a form into its field. For fields that are not text, an
// empty value counts as absent, since browsers send empty inputs.
func (f fields) setText(errs *models.FieldErrors, name, text string) {
	switch f[name].(type) {
	case *string:
	case **time.Time, **time.Duration:
		if text == "" {
			return
		}
	default:
		if text != "" {
			f.set(errs, name, []byte(text))
		}
		return
	}
	if !utf8.ValidString(text) {
		errs.Add(name, "is not valid UTF-8")
		return
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		errs.Add(name, "must be %s", wanted(f[name]))
		return
	}
	f.set(errs, name, quoted)
}

var errTrailing = errors.New("more than one value")

func unmarshal(value []byte, target any) error {
	if d, ok := target.(**time.Duration); ok {
		return unmarshalDuration(value, d)
	}
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.DisallowUnknownFields()
	if err := dec.Decode(target); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errTrailing // possible in a form only
	}
	return nil
}

func unmarshalDuration(value []byte, target **time.Duration) error {
	var text *string
	if err := json.Unmarshal(value, &text); err != nil || text == nil {
		return err
	}
	d, err := time.ParseDuration(*text)
	if err != nil {
		return err
	}
	*target = &d
	return nil
}

// shaped is implemented by fields of a custom type.
type shaped interface {
	// Shape describes the accepted values, such as "a list of strings".
	Shape() string
	// Texts returns all texts in it.
	Texts() []string
}

// wanted describes the values that a target accepts.
func wanted(target any) string {
	switch target := target.(type) {
	case *string:
		return "a string"
	case *bool, **bool:
		return "true or false"
	case *int64, **int64:
		return "a whole number"
	case **int32:
		return "a whole number below 2147483648"
	case **time.Time:
		return `an RFC 3339 time with its zone, such as "2026-11-23T18:00:00Z"`
	case **time.Duration:
		return `a duration, such as "15m"`
	case *[]string:
		return "a list of strings"
	case shaped:
		return target.Shape()
	default:
		return "a value of another type"
	}
}

// cleanText refuses NUL, which Postgres refuses, and half a surrogate pair, which
// encoding/json would replace silently: a title must not change.
func cleanText(target any, value []byte) bool {
	for _, text := range texts(target) {
		if strings.ContainsRune(text, 0) {
			return false
		}
		if strings.ContainsRune(text, utf8.RuneError) && !spellsRuneError(value) {
			return false
		}
	}
	return true
}

func spellsRuneError(value []byte) bool {
	return bytes.ContainsRune(value, utf8.RuneError) || bytes.Contains(bytes.ToLower(value), []byte(`\ufffd`))
}

func texts(target any) []string {
	switch t := target.(type) {
	case *string:
		return []string{*t}
	case *[]string:
		return *t
	case shaped:
		return t.Texts()
	default:
		return nil
	}
}

// shown shortens a name from the caller for an error message.
func shown(name string) string {
	const most = 100
	name = strings.ToValidUTF8(name, "\uFFFD")
	if runes := []rune(name); len(runes) > most {
		return string(runes[:most]) + "..."
	}
	return name
}
