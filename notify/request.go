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

// Request is what an app says of an endpoint. What is nil is not said.
type Request struct {
	URL         *string
	Description *string
	// Events are the events that the endpoint is told of; none is all.
	Events *[]string
	Status *models.EndpointStatus
}

const (
	maxURL         = 2048
	maxDescription = 500
	// lookupTimeout bounds the look-up of an endpoint's host.
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
				errs.Add("events", "%.50q is none of %v", name, models.AppEvents)
			}
		}
	}
	if r.Status != nil && *r.Status != models.EndpointEnabled && *r.Status != models.EndpointDisabled {
		errs.Add("status", "must be enabled or disabled")
	}
	return errs.Err()
}

// checkURL says what is wrong with an endpoint's address; empty if nothing is.
func (s *Service) checkURL(ctx context.Context, raw string) string {
	u, err := url.Parse(raw)
	switch {
	case raw == "":
		return "is required: the https address that is told of events"
	case len(raw) > maxURL:
		return "is longer than 2048 bytes"
	case err != nil || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return "is not an https address"
	case u.User != nil:
		return "must not hold a user name or password: the signature says who sends"
	case u.Fragment != "":
		return "must not hold a fragment, which is never sent"
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
	case errors.Is(err, egress.ErrPrivateHost):
		return "leads to a private network; only public addresses are called"
	case isDNS && dns.IsNotFound:
		return "its host name is not known"
	default:
		return "its host name cannot be looked up now; try again"
	}
}

// joined writes a list of events as it is stored: each once.
func joined(events []string) string {
	list := slices.Clone(events)
	slices.Sort(list)
	return strings.Join(slices.Compact(list), ",")
}
