package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"socialqueue/db"
	"socialqueue/egress"
	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/secrets"
)

// Request is a post as an app asks for it.
type Request struct {
	AppID     int64
	Platform  models.Platform
	Kind      models.Kind
	AccountID int64
	Options   Options
	// Files are those of the post, in order.
	Files []File
	// PublishAt nil means now.
	PublishAt     *time.Time
	MaxLateness   *time.Duration
	CorrelationID string
	// Complete tells what to write into the request's idempotency key together
	// with the post. Nil: the request has none.
	Complete func(*models.Post) (*db.Completion, error)
}

// File is a file of a post as an app names it: by the id of one that it uploaded, or by a
// link. One of them is set.
type File struct {
	MediaID string
	URL     string
}

// mediaIDs lists the files of a request that the app uploaded.
func (r *Request) mediaIDs() []string {
	var ids []string
	for _, f := range r.Files {
		if f.MediaID != "" {
			ids = append(ids, f.MediaID)
		}
	}
	return ids
}

// Accept checks a request, commits its post and sees to the first task. When
// it returns a post, that post is durable. Bad input is models.FieldErrors, an
// account or file that the app does not have is db.ErrNotFound, an account that
// cannot be posted to is ErrConflict; then nothing is stored.
func (s *Service) Accept(ctx context.Context, r Request) (*models.Post, error) {
	now := s.Now()
	if err := s.checkRequest(ctx, &r, now); err != nil {
		return nil, err
	}
	dest, err := s.destinations.read(ctx, &r, now)
	if err != nil {
		return nil, err
	}
	if err := checkDestination(&r, dest); err != nil {
		return nil, err
	}
	post, files, err := s.newPost(ctx, &r, dest, now)
	if err != nil {
		return nil, err
	}
	if err := s.insert(ctx, &r, post, files); err != nil {
		return nil, err
	}
	if post.Admission == models.AdmissionAdmitted {
		s.enqueue(ctx, *post)
	}
	return post, nil
}

func (s *Service) checkRequest(ctx context.Context, r *Request, now time.Time) error {
	var errs models.FieldErrors
	if r.AccountID <= 0 {
		errs.Add("account_id", "is required: the id of a connected account")
	}
	r.Options.Check(&errs, r.Kind)
	links := r.Options.Links()
	for _, field := range slices.Sorted(maps.Keys(links)) {
		s.checkLink(ctx, &errs, field, links[field])
	}
	s.checkFiles(ctx, &errs, r.Files)
	if r.PublishAt != nil {
		models.CheckPublishAt(&errs, *r.PublishAt, now)
	}
	if r.MaxLateness != nil {
		models.CheckMaxLateness(&errs, *r.MaxLateness)
	}
	return errs.Err()
}

func (s *Service) checkFiles(ctx context.Context, errs *models.FieldErrors, files []File) {
	if len(files) == 0 {
		errs.Add("media_id", "is required: a post has a file")
	}
	for _, f := range files {
		if (f.MediaID == "") == (f.URL == "") {
			errs.Add("media_id", "give either media_id or media_url")
		}
		s.checkLink(ctx, errs, "media_url", f.URL)
	}
}

func (s *Service) checkLink(ctx context.Context, errs *models.FieldErrors, field, link string) {
	if link == "" {
		return
	}
	err := s.Fetcher.CheckURL(ctx, link)
	var fetch *media.FetchError
	switch {
	case err == nil:
	case errors.Is(err, egress.ErrPrivateHost):
		errs.Add(field, "leads to a private network; only public addresses are fetched")
	case errors.As(err, &fetch) && !fetch.Permanent:
		errs.Add(field, "cannot be reached now: %v", fetch)
	default:
		errs.Add(field, "%v", err)
	}
}

func checkDestination(r *Request, dest *db.Destination) error {
	if dest.Status == models.AccountDisconnected {
		return fmt.Errorf("%w: account %d is disconnected; connect it again first", ErrConflict, r.AccountID)
	}
	var errs models.FieldErrors
	for _, id := range r.mediaIDs() {
		m := dest.Media[id]
		if m == nil {
			return fmt.Errorf("media %s: %w", id, db.ErrNotFound)
		}
		r.Options.CheckFile(&errs, "media_id", r.Kind, m)
	}
	return errs.Err()
}

func (s *Service) newPost(ctx context.Context, r *Request, dest *db.Destination, now time.Time) (*models.Post, []models.PostMedia, error) {
	options, err := json.Marshal(r.Options)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the options of a post: %w", err)
	}
	p := &models.Post{
		ID: models.NewID(), AppID: r.AppID, UserID: dest.UserID, Platform: r.Platform, OAuthAccountID: dest.OAuthAccountID,
		InstagramAccountID: dest.InstagramAccountID, Kind: r.Kind, Content: models.Content{r.Platform: options}, CorrelationID: r.CorrelationID, TraceParent: observe.TraceParent(ctx),
		Lane: models.Lane(r.Platform, r.AccountID), CreatedAt: now, UpdatedAt: now,
	}
	files, err := s.newFiles(p.ID, r.Files)
	if err != nil {
		return nil, nil, err
	}
	p.MediaID, p.SourceURL = files[0].MediaID, files[0].SourceURL
	if r.MaxLateness != nil {
		ms := r.MaxLateness.Milliseconds()
		p.MaxLatenessMs = &ms
	}
	p.SetPublishAt(now)
	if r.PublishAt != nil && r.PublishAt.After(now) {
		p.SetPublishAt(models.Time(*r.PublishAt))
	}
	s.place(p, files, p.PublishAt, now)
	return p, files, nil
}

// newFiles makes the rows of a post's files.
func (s *Service) newFiles(postID string, files []File) ([]models.PostMedia, error) {
	rows := make([]models.PostMedia, len(files))
	for i, f := range files {
		rows[i] = models.PostMedia{PostID: postID, Position: i}
		if f.MediaID != "" {
			rows[i].MediaID = &f.MediaID
			continue
		}
		sealed, err := s.Keys.Seal(secrets.Secret(f.URL), models.SourceSealedIn(postID, i))
		if err != nil {
			return nil, fmt.Errorf("seal media_url: %w", err)
		}
		rows[i].SourceURL = sealed
	}
	return rows, nil
}

// place gives a post with these files that is to begin at the given time its state, its
// first step and its place to wait.
func (s *Service) place(p *models.Post, files []models.PostMedia, at, now time.Time) {
	p.Step = s.firstStep(p, files)
	p.RunAt = &at
	p.EnqueuedAt = nil
	switch {
	case at.After(now):
		p.Status, p.Admission = models.Scheduled, models.AdmissionWaiting
	default:
		p.Status, p.Admission = models.Queued, models.AdmissionAdmitted
		p.EnqueuedAt = &now
	}
}

// firstStep is where a post begins: with a transfer, unless none of its steps moves a file
// and its files are ours already.
func (s *Service) firstStep(p *models.Post, files []models.PostMedia) models.Step {
	kind := s.publishers.of(p.Platform, p.Kind)
	toFetch := func(f models.PostMedia) bool { return f.ToFetch() }
	if kind != nil && !kind.heavy() && !slices.ContainsFunc(files, toFetch) {
		return models.StepPublish
	}
	return models.StepTransfer
}

func (s *Service) insert(ctx context.Context, r *Request, p *models.Post, files []models.PostMedia) error {
	var done *db.Completion
	if r.Complete != nil {
		var err error
		if done, err = r.Complete(p); err != nil {
			return err
		}
	}
	return s.DB.Posts.Insert(ctx, p, files, lanePlaces, done)
}
