package publish

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"

	"socialqueue/db"
	"socialqueue/models"
)

// Warner are Options that know what a platform would accept and then ignore or change.
type Warner interface {
	// Warn notes it. files are those that are known already, in order; nil for the others.
	Warn(warnings *models.FieldErrors, kind models.Kind, files []*models.Media)
}

// Finding is something that is wrong with a request, or worth knowing about it.
type Finding struct {
	Field string `json:"field"`
	// Rule is the same for each finding of its kind: not_found, conflict, or the name of the
	// field whose rule it is.
	Rule    string `json:"rule"`
	Message string `json:"message"`
}

// Findings are the result of a validation.
type Findings struct {
	Errors, Warnings []Finding
}

// Take turns an error of a validation into a finding. Other errors are returned.
func (f *Findings) Take(err error) error {
	var fields models.FieldErrors
	var missing *models.NotFoundError
	switch {
	case errors.As(err, &fields):
		f.Errors = append(f.Errors, findings(fields)...)
	case errors.As(err, &missing):
		f.Errors = append(f.Errors, Finding{missing.Field, "not_found", missing.Error()})
	case errors.Is(err, ErrConflict):
		f.Errors = append(f.Errors, Finding{"account_id", "conflict", strings.TrimPrefix(err.Error(), ErrConflict.Error()+": ")})
	default:
		return err
	}
	return nil
}

func findings(errs models.FieldErrors) []Finding {
	all := make([]Finding, len(errs))
	for i, e := range errs {
		all[i] = Finding{e.Field, ruleOf(e.Field), e.Message}
	}
	return all
}

// ruleOf is the last name in a path such as children[2].media_id.
func ruleOf(path string) string {
	names := strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' || unicode.IsDigit(r) })
	if len(names) == 0 {
		return path
	}
	return names[len(names)-1]
}

// Validate checks requests by the rules of Accept and stores nothing. ask has the platforms
// asked what the accounts may do now. What is wrong with the requests is the error, as of
// Accept.
func (s *Service) Validate(ctx context.Context, rs []Request, ask bool) (Findings, error) {
	var f Findings
	now := s.Now()
	if ask {
		ctx, cancel := context.WithTimeout(ctx, askTime)
		defer cancel()
		for i := range rs {
			s.askFor(ctx, &rs[i], &f)
		}
	}
	destinations, err := s.checkAll(ctx, rs, now)
	if err != nil {
		return f, err
	}
	for i := range rs {
		f.Warnings = append(f.Warnings, findings(s.warningsOf(&rs[i], destinations[i]))...)
	}
	return f, nil
}

// askTime is how long the platforms may take to answer about all accounts of a request.
const askTime = 5 * time.Second

// askFor reads the account's limits, which the checks then use. An answer that does not come
// is a warning: it does not make the request wrong.
func (s *Service) askFor(ctx context.Context, r *Request, f *Findings) {
	_, err := s.Limits(ctx, r.AppID, r.Platform, r.AccountID)
	if err == nil || errors.Is(err, db.ErrNotFound) || errors.Is(err, ErrConflict) {
		return // the checks say so
	}
	why := "the platform does not answer"
	if !isInternal(err) {
		why = err.Error()
	}
	f.Warnings = append(f.Warnings, Finding{r.Path + "account_id", "account", models.Shorten("the platform could not be asked about the account: "+why, 300)})
}

func (s *Service) warningsOf(r *Request, dest *db.Destination) models.FieldErrors {
	var all models.FieldErrors
	kind := s.publishers.kind(r.Platform, r.Kind)
	files := make([]*models.Media, len(r.Files))
	for i, file := range r.Files {
		m := dest.Media[file.MediaID]
		files[i] = m
		shown := kind != nil && kind.AltTexts && (m == nil || strings.HasPrefix(m.ContentType, "image/"))
		if file.AltText != "" && !shown {
			all.Add(r.field(i, "alt_text"), "is dropped: %s takes none for this file in a %s", r.Platform, r.Kind)
		}
	}
	if warner, ok := r.Options.(Warner); ok {
		var own models.FieldErrors
		warner.Warn(&own, r.Kind, files)
		r.add(&all, own)
	}
	return all
}

// Kinds lists the kinds of posts that can be made on a platform.
func (s *Service) Kinds(p models.Platform) []models.Kind {
	var kinds []models.Kind
	for kind := range s.publishers[p] {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	return kinds
}
