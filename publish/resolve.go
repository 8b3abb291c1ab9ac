package publish

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
)

// ResolveLive ends an uncertain post at an operator's word that it is live, as this
// post at the platform. permalink may be empty. by is who says so. Errors are
// models.FieldErrors, db.ErrNotFound or ErrConflict.
func (s *Service) ResolveLive(ctx context.Context, id, platformPostID, permalink, by string) (*models.Post, error) {
	platformPostID, permalink = strings.TrimSpace(platformPostID), strings.TrimSpace(permalink)
	if err := checkSeen(platformPostID, permalink); err != nil {
		return nil, err
	}
	p, err := s.unsettledPost(ctx, id)
	if err != nil {
		return nil, err
	}
	now, from := s.Now(), p.Status
	p.Status, p.PublishedAt, p.PlatformPostID = models.Published, &now, &platformPostID
	if permalink != "" {
		p.Permalink = &permalink
	}
	p.ErrorCode, p.ErrorMessage = "", ""
	end(p, now)
	if p.FirstComment, err = s.newFirstComment(p, now); err != nil {
		return nil, err
	}
	return s.resolve(ctx, p, from, models.Done, fmt.Sprintf("settled by %s: live as %s", by, platformPostID))
}

const (
	maxPlatformID = 255
	maxPermalink  = 500
)

// checkSeen checks what somebody says that they saw at the platform. Apps are told of it,
// and may show the address as a link.
func checkSeen(platformPostID, permalink string) error {
	var errs models.FieldErrors
	if platformPostID == "" || len(platformPostID) > maxPlatformID || !isPlainWord(platformPostID) {
		errs.Add("platform_post_id", "is required: the id that the platform shows, without spaces")
	}
	if u, err := url.Parse(permalink); permalink != "" &&
		(err != nil || u.Scheme != "https" || u.Hostname() == "" || len(permalink) > maxPermalink || !isPlainWord(permalink)) {
		errs.Add("permalink", "must be an https address, or empty")
	}
	return errs.Err()
}

// isPlainWord reports whether all of a text is seen as it is: no spaces, no control codes,
// none that a database refuses.
func isPlainWord(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r == ' ' || !unicode.IsPrint(r) })
}

// Release has an uncertain post sent again at an operator's word that it is not live
// and will not be. If that is wrong it is live twice. by is who says so. Errors are
// db.ErrNotFound or ErrConflict.
func (s *Service) Release(ctx context.Context, id, by string) (*models.Post, error) {
	p, err := s.unsettledPost(ctx, id)
	if err != nil {
		return nil, err
	}
	files, err := s.filesToRunAgain(ctx, p)
	if err != nil {
		return nil, err
	}
	now, from := s.Now(), p.Status
	revive(p, now)
	s.place(p, files, now, now)
	p, err = s.resolve(ctx, p, from, models.Void, fmt.Sprintf("settled by %s: not live; sent again", by))
	if err == nil {
		s.admitAgain(ctx, p)
	}
	return p, err
}

// CanSettle reports whether an operator may settle a post: it is uncertain, or the result
// of one of its calls is unknown while a worker is between two tries to learn it.
func (s *Service) CanSettle(ctx context.Context, p *models.Post) (bool, error) {
	switch p.Status {
	case models.Uncertain:
		return true, nil
	case models.Publishing, models.Processing:
		ledger, err := s.Ledger(ctx, p)
		return ledger.Unknown(), err
	}
	return false, nil
}

// unsettledPost reads a post that an operator may settle.
func (s *Service) unsettledPost(ctx context.Context, id string) (*models.Post, error) {
	p, err := s.DB.Posts.ByID(ctx, id)
	if err != nil {
		return nil, err
	}
	settled, err := s.CanSettle(ctx, p)
	if err != nil {
		return nil, err
	}
	if !settled {
		return nil, fmt.Errorf("%w: the post is %s and none of its calls lacks a result; only posts whose result is unknown can be settled by hand", ErrConflict, p.Status)
	}
	p.LeaseUntil, p.LeaseOwner = nil, "" // the write checks that no run holds the post
	return p, nil
}

// resolve writes the post together with the result of its recorded calls.
func (s *Service) resolve(ctx context.Context, p *models.Post, from models.Status, calls models.LedgerState, message string) (*models.Post, error) {
	now := s.Now()
	event := models.PostEvent{
		PostID: p.ID, At: now, Type: models.EventState, From: from, To: p.Status, Message: plain(message), Fence: p.Fence + 1,
	}
	if err := s.DB.Runs.Resolve(ctx, db.Resolution{Post: p, From: from, Calls: calls, Event: event, Now: now, FirstComment: p.FirstComment}); err != nil {
		return nil, conflictIfStale(err, "a worker is just looking at the post; try again in a moment")
	}
	s.Metrics.PostReached(string(p.Platform), string(p.Kind), string(p.Status))
	observe.OfPost(s.Log, p).WithField(observe.FieldAction, observe.ActionOperator).Warn(message)
	return p, nil
}
