package handlers

import (
	"net/url"
	"slices"
	"strings"

	"socialqueue/models"
)

// readQuery passes each parameter of a query to its setter, which returns what is wrong
// with the value. An unknown parameter is an error: a mistyped filter must not list
// everything. what names the request in that message.
func readQuery(rawQuery, what string, setters map[string]func(value string) string) error {
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return badRequest("the query is malformed")
	}
	var errs models.FieldErrors
	for name, values := range query {
		set, known := setters[name]
		switch {
		case len(values) > 1:
			errs.Add(name, "is given twice")
		case !known:
			errs.Add(name, "is not a parameter of this %s", what)
		default:
			if message := set(values[0]); message != "" {
				errs.Add(name, "%s", message)
			}
		}
	}
	slices.SortFunc(errs, func(a, b models.FieldError) int { return strings.Compare(a.Field, b.Field) })
	return errs.Err()
}
