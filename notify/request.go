package notify

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"socialqueue/egress"
	"socialqueue/models"
)

// Request holds the fields of an endpoint that an app sets. Nil fields are not set.
type Request struct {
	URL         *string
	Description *string
	// Events are the events that the endpoint gets; an empty list selects all.
	Events *[]string
	Status *models.EndpointStatus
}

const (
	maxURL         = 2048
	maxDescription = 500
	// lookupTimeout limits the DNS lookup of an endpoint's host.
	lookupTimeout = 5 * time.Second
)

// check checks a request. Its error is models.FieldErrors.
func (s *Service) check(ctx context.Context, r *Request) error {
	var errs models.FieldErrors
	if r.URL != nil {
		if problem := s.checkURL(ctx, *r.URL); problem != "" {
			errs.Add("url", "%s", problem)
		}
	}
	if r.Description != nil && utf8.RuneCountInString(*r.Description) > maxDescription {
		errs.Add("description", "is longer than %d characters", maxDescription)
	}
	if r.Events != nil {
		for _, name := range *r.Events {
			if !slices.Contains(models.AppEvents, models.AppEvent(name)) {
				errs.Add("events", "%.50q is not one of %v", name, models.AppEvents)
			}
		}
	}
	if r.Status != nil && *r.Status != models.EndpointEnabled && *r.Status != models.EndpointDisabled {
		errs.Add("status", "must be enabled or disabled")
	}
	return errs.Err()
}

// checkURL returns what is wrong with an endpoint's address, or an empty string.
func (s *Service) checkURL(ctx context.Context, raw string) string {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return "is required: the https address that receives the events"
	case len(raw) > maxURL:
		return "is longer than 2048 bytes"
	case err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return "is not an https address"
	case u.User != nil:
		return "must not contain a user name or password: verify the signature instead"
	case u.Fragment != "":
		return "must not contain a fragment: fragments are never sent"
	case u.Scheme != "https" && !s.Guard.AllowsPrivate():
		return "must begin with https://"
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	err = s.Guard.Check(ctx, u.Hostname())
	dns, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case err == nil:
		return ""
	case errors.Is(err, egress.ErrPrivateHost), isDNS && dns.IsNotFound:
		// one text for both: two would tell which names exist in our network
		return "has no public address: its host is unknown, or in a private network"
	default:
		return "has a host name that cannot be looked up now; try again"
	}
}

// joined formats a list of events for the database, without duplicates.
func joined(events []string) string {
	list := slices.Clone(events)
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ",")
}
