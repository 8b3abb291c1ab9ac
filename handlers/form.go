package handlers

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"slices"

	"github.com/labstack/echo/v4"

	"socialqueue/models"
)

// form reads a multipart body part by part, once and in order. It buffers only the small
// text fields, in memory.
type form struct {
	parts  *multipart.Reader
	fields fields
	file   string // the name of the one part that is a file

	seen map[string]bool
	text map[string]string
	left int64 // bytes that the remaining text fields may have
	sum  string
}

func newForm(c echo.Context, f fields, file string) (*form, error) {
	body := newMovingBody(c)
	r := c.Request().Clone(c.Request().Context())
	r.Body = io.NopCloser(body)
	parts, err := r.MultipartReader()
	if err != nil {
		return nil, badRequest("the multipart body has no boundary")
	}
	return &form{parts: parts, fields: f, file: file, seen: map[string]bool{}, text: map[string]string{}, left: maxJSON}, nil
}

// read passes the file to take, which returns its SHA-256, decodes the fields, and returns
// a hash of the whole content. An unknown field fails at once; wrong values are reported at
// the end.
func (f *form) read(take func(io.Reader) (string, error)) (hash string, err error) {
	for {
		part, err := f.parts.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", asBodyError(err)
		}
		if err := f.readPart(part, take); err != nil {
			return "", err
		}
	}
	var errs models.FieldErrors
	for _, name := range slices.Sorted(maps.Keys(f.text)) {
		f.fields.setText(&errs, name, f.text[name])
	}
	return f.hash(), errs.Err()
}

func (f *form) readPart(part *multipart.Part, take func(io.Reader) (string, error)) (err error) {
	name := part.FormName()
	var errs models.FieldErrors
	if !first(&errs, f.seen, name) {
		return errs
	}
	if name == f.file {
		f.sum, err = take(partReader{part})
		return err
	}
	if _, ok := f.fields[name]; !ok {
		return models.OfField(name, notAField)
	}
	text, err := io.ReadAll(io.LimitReader(partReader{part}, f.left+1))
	if err != nil {
		return err
	}
	if f.left -= int64(len(text)); f.left < 0 {
		return tooLarge(fmt.Sprintf("the fields have more than %d bytes", maxJSON))
	}
	f.text[name] = string(text)
	return nil
}

// hash depends on the fields and the file, not on their order.
func (f *form) hash() string {
	sum := sha256.New() // its Write never fails
	for _, name := range slices.Sorted(maps.Keys(f.text)) {
		_, _ = fmt.Fprintf(sum, "%q=%q\n", name, f.text[name])
	}
	_, _ = fmt.Fprintf(sum, "file %s\n", f.sum)
	return hex.EncodeToString(sum.Sum(nil))
}

// partReader turns a body that broke off into a bodyError, so that it is not taken for the
// end of the part.
type partReader struct {
	part *multipart.Part
}

func (r partReader) Read(p []byte) (int, error) {
	n, err := r.part.Read(p)
	if err == nil || errors.Is(err, io.EOF) {
		return n, err
	}
	return n, asBodyError(err)
}

func asBodyError(err error) error {
	if _, ok := errors.AsType[*bodyError](err); ok {
		return err
	}
	return &bodyError{err}
}
