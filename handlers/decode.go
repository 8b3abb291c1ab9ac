package handlers

import (
	"bytes"
	"cmp"
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
//
// Every text and every list has a limit, also one that names none: a long value would be
// stored, listed, logged and repeated in errors. upTo sets another limit.
type fields map[string]any

// Limits of the values in a request. Each platform's own limits are checked later, by its
// publisher.
const (
	// maxText and maxProse are the lengths of texts, in characters: names and choices, and
	// what people write.
	maxText  = 255
	maxProse = 5000
	maxURL   = 2048
	maxID    = 36
	// maxList is the number of elements in a list.
	maxList = 100
	// maxFiles is the number of files in a request: TikTok takes 35 photos.
	maxFiles = 35
)

// limited is a field with a limit of its own: characters of a text, or elements of a list.
type limited struct {
	target any
	most   int
}

func upTo(most int, target any) limited { return limited{target, most} }

// objects is a list of objects with fields of their own. A field whose value is one object
// has a fields as its target.
type objects struct {
	most int
	// add returns the fields of the next element. They may depend on what the element says.
	add func(element json.RawMessage) fields
}

// target returns the pointer for a field's value, and its limit; 0 is the default.
func (f fields) target(name string) (target any, most int, ok bool) {
	target, ok = f[name]
	if l, is := target.(limited); is {
		return l.target, l.most, ok
	}
	return target, 0, ok
}

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
	if err := f.members(&errs, "", dec); err != nil {
		return badRequest("the body is not valid JSON")
	}
	return errs.Err()
}

// members reads the rest of an object, whose own name, with a dot behind it, is prefix.
func (f fields) members(errs *models.FieldErrors, prefix string, dec *json.Decoder) error {
	seen := map[string]bool{}
	for dec.More() {
		name, value, err := member(dec)
		if err != nil {
			return err
		}
		if first(errs, seen, prefix+name) {
			f.set(errs, prefix, name, value)
		}
		if errs.Full() {
			return nil // the rest is not read: a body of unknown fields would fill seen
		}
	}
	return nil
}

// object reads a field that is an object; null is as good as none.
func (f fields) object(errs *models.FieldErrors, path string, value []byte) {
	dec := json.NewDecoder(bytes.NewReader(value))
	switch start, err := dec.Token(); {
	case err == nil && start == nil:
	case err != nil || start != json.Delim('{') || f.members(errs, path+".", dec) != nil:
		errs.Add(path, "must be an object")
	}
}

// list reads a field that is a list of objects; null is as good as none.
func (o objects) list(errs *models.FieldErrors, path string, value []byte) {
	dec := json.NewDecoder(bytes.NewReader(value))
	start, err := dec.Token()
	if err == nil && start == nil {
		return
	}
	if err != nil || start != json.Delim('[') {
		errs.Add(path, "must be a list of objects")
		return
	}
	for n := 0; dec.More() && !errs.Full(); n++ {
		var element json.RawMessage
		if n == o.most {
			errs.Add(path, "has more than %d elements", o.most)
			return
		}
		if dec.Decode(&element) != nil {
			errs.Add(path, "must be a list of objects")
			return
		}
		o.add(element).object(errs, fmt.Sprintf("%s[%d]", path, n), element)
	}
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
		errs.Add(name, "is given twice")
		return false
	}
	seen[name] = true
	return true
}

// set decodes one JSON value into the field with that name. prefix is put before the name in
// errors.
func (f fields) set(errs *models.FieldErrors, prefix, name string, value []byte) {
	target, most, ok := f.target(name)
	path := prefix + name
	if !ok {
		errs.Add(path, notAField)
		return
	}
	switch target := target.(type) {
	case fields:
		target.object(errs, path, value)
	case objects:
		target.list(errs, path, value)
	default:
		setValue(errs, path, target, most, value)
	}
}

func setValue(errs *models.FieldErrors, path string, target any, most int, value []byte) {
	switch {
	case !utf8.Valid(value):
		errs.Add(path, "is not valid UTF-8")
	case isList(target) && longerThan(value, cmp.Or(most, maxList)):
		errs.Add(path, "has more than %d elements", cmp.Or(most, maxList))
	case unmarshal(value, target) != nil:
		errs.Add(path, "must be %s", wanted(target))
	case !cleanText(target, value):
		errs.Add(path, "contains an invalid character: NUL or half a surrogate pair")
	default:
		checkLength(errs, path, target, most)
	}
}

func isList(target any) bool {
	switch target.(type) {
	case *[]string, shaped:
		return true
	}
	return false
}

// longerThan reports whether a JSON list has more than most elements. It stops counting
// there.
func longerThan(list []byte, most int) bool {
	dec := json.NewDecoder(bytes.NewReader(list))
	if start, err := dec.Token(); err != nil || start != json.Delim('[') {
		return false
	}
	for n := 0; dec.More(); n++ {
		var element json.RawMessage
		if n == most {
			return true
		}
		if dec.Decode(&element) != nil {
			return false
		}
	}
	return false
}

// checkLength checks the length of every text in a decoded value.
func checkLength(errs *models.FieldErrors, name string, target any, most int) {
	if isList(target) || most == 0 {
		most = maxText
	}
	for _, text := range texts(target) {
		if len(text) > most && utf8.RuneCountInString(text) > most {
			errs.Add(name, "is longer than %d characters", most)
			return
		}
	}
}

// setText decodes one value of a form into its field. For fields that are not text, an
// empty value counts as absent, since browsers send empty inputs.
func (f fields) setText(errs *models.FieldErrors, name, text string) {
	target, _, _ := f.target(name)
	switch target.(type) {
	case *string:
	case **time.Time, **time.Duration:
		if text == "" {
			return
		}
	default:
		if text != "" {
			f.set(errs, "", name, []byte(text))
		}
		return
	}
	if !utf8.ValidString(text) {
		errs.Add(name, "is not valid UTF-8")
		return
	}
	quoted, err := json.Marshal(text)
	if err != nil {
		errs.Add(name, "must be %s", wanted(target))
		return
	}
	f.set(errs, "", name, quoted)
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
	case *string, **string:
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
	case **string:
		if *t == nil {
			return nil
		}
		return []string{**t}
	case *[]string:
		return *t
	case shaped:
		return t.Texts()
	default:
		return nil
	}
}
