package publish

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
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
	// Path is put before the names of the request's own fields in errors, such as "targets[1].".
	Path string
	// FilesField is the request's list of files, such as "children"; empty if the request
	// names one file, in media_id or media_url.
	FilesField string
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
	// AltText describes a picture for those who cannot see it.
	AltText string
}

// field is where the request names something of the file at a position.
func (r *Request) field(position int, name string) string {
	if r.FilesField == "" {
		return name
	}
	return fmt.Sprintf("%s[%d].%s", r.FilesField, position, name)
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
// account or file that the app does not have is a *models.NotFoundError, an account that
// cannot be posted to is ErrConflict; then nothing is stored.
func (s *Service) Accept(ctx context.Context, r Request) (*models.Post, error) {
	complete := func(posts []*models.Post) (*db.Completion, error) {
		if r.Complete == nil {
			return nil, nil
		}
		return r.Complete(posts[0])
	}
	posts, err := s.accept(ctx, []Request{r}, nil, complete)
	if err != nil {
		return nil, err
	}
	return posts[0], nil
}

// AcceptGroup accepts several requests of one app as Accept does, all or none. Their posts are
// a group with that id. complete is as Request.Complete, for all of them.
func (s *Service) AcceptGroup(ctx context.Context, rs []Request, groupID string, complete func([]*models.Post) (*db.Completion, error)) ([]*models.Post, error) {
	return s.accept(ctx, rs, &groupID, complete)
}

func (s *Service) accept(ctx context.Context, rs []Request, groupID *string, complete func([]*models.Post) (*db.Completion, error)) ([]*models.Post, error) {
	now := s.Now()
	destinations, err := s.checkAll(ctx, rs, now)
	if err != nil {
		return nil, err
	}
	var posts []*models.Post
	var rows []db.NewPost
	for i := range rs {
		p, files, err := s.newPost(ctx, &rs[i], destinations[i], now)
		if err != nil {
			return nil, err
		}
		p.GroupID = groupID
		p.Files = files
		posts, rows = append(posts, p), append(rows, db.NewPost{Post: p, Files: files})
	}
	done, err := complete(posts)
	if err != nil {
		return nil, err
	}
	if err := s.DB.Posts.Insert(ctx, rows, lanePlaces, done); err != nil {
		return nil, err
	}
	var admitted []models.Post
	waits := false
	for _, p := range posts {
		if p.Admission == models.AdmissionAdmitted {
			admitted = append(admitted, *p)
		}
		waits = waits || p.Admission == models.AdmissionWaiting && !p.RunAt.After(now)
	}
	s.enqueue(ctx, admitted...)
	if waits {
		s.askForTurn(ctx)
	}
	if slices.ContainsFunc(rows, func(row db.NewPost) bool { return slices.ContainsFunc(row.Files, toFetch) }) {
		s.enqueueFetches(ctx, rs[0].AppID)
	}
	return posts, nil
}

// checkAll checks requests, and returns where their posts go. The field errors of all of them
// are returned together.
func (s *Service) checkAll(ctx context.Context, rs []Request, now time.Time) ([]*db.Destination, error) {
	var errs models.FieldErrors
	shared := map[string]bool{} // lists of files whose links are checked
	for i := range rs {
		s.checkRequest(ctx, &errs, &rs[i], now, !shared[rs[i].FilesField])
		shared[rs[i].FilesField] = true
	}
	if err := errs.Err(); err != nil {
		return nil, err
	}
	destinations := make([]*db.Destination, len(rs))
	for i := range rs {
		r := &rs[i]
		dest, err := s.destination(ctx, r, now)
		if err != nil {
			return nil, err
		}
		if err := checkDestination(&errs, r, dest); err != nil {
			return nil, err
		}
		if bound, ok := r.Options.(AccountBound); ok {
			var own models.FieldErrors
			bound.UseAccount(&own, r.Kind, dest.Account, publishingTime(r, now))
			r.add(&errs, own)
		}
		s.checkLimits(&errs, r, dest, now)
		destinations[i] = dest
	}
	return destinations, errs.Err()
}

func publishingTime(r *Request, now time.Time) time.Time {
	if r.PublishAt != nil {
		return *r.PublishAt
	}
	return now
}

// destination reads the account and the files of a request.
func (s *Service) destination(ctx context.Context, r *Request, now time.Time) (*db.Destination, error) {
	unknown := &models.NotFoundError{Field: r.Path + "account_id", What: fmt.Sprintf("%s account %d", r.Platform, r.AccountID)}
	if r.AccountID > math.MaxInt32 { // ids are 32 bits wide
		return nil, unknown
	}
	dest, err := s.destinations.read(ctx, r, now)
	if errors.Is(err, db.ErrNotFound) {
		return nil, unknown
	}
	return dest, err
}

// checkRequest checks what can be known without the account and the files.
func (s *Service) checkRequest(ctx context.Context, errs *models.FieldErrors, r *Request, now time.Time, links bool) {
	var own models.FieldErrors
	if r.AccountID <= 0 {
		own.Add("account_id", "is required: the id of a connected account")
	}
	r.Options.Check(&own, r.Kind, len(r.Files))
	if kind := s.publishers.kind(r.Platform, r.Kind); kind != nil && kind.Allow != nil {
		kind.Allow(&own, r.Options)
	}
	if check := s.pull(r); check != nil {
		for _, f := range r.Files {
			check(&own, f.URL)
		}
	}
	further := r.Options.Links()
	for _, field := range slices.Sorted(maps.Keys(further)) {
		s.checkLink(ctx, &own, field, further[field])
	}
	if r.PublishAt != nil {
		models.CheckPublishAt(&own, *r.PublishAt, now)
	}
	if r.MaxLateness != nil {
		models.CheckMaxLateness(&own, *r.MaxLateness)
	}
	r.add(errs, own)
	s.checkFiles(ctx, errs, r, links)
}

// add adds errors in the request's own fields.
func (r *Request) add(errs *models.FieldErrors, own models.FieldErrors) {
	for _, e := range own {
		field := e.Field
		if r.FilesField == "" || !strings.HasPrefix(field, r.FilesField) { // those of files are whole paths
			field = r.Path + field
		}
		errs.Add(field, "%s", e.Message)
	}
}

func (s *Service) checkFiles(ctx context.Context, errs *models.FieldErrors, r *Request, links bool) {
	least, most := 1, 1
	if kind := s.publishers.kind(r.Platform, r.Kind); kind != nil {
		least, most = kind.minFiles(), kind.maxFiles()
	}
	switch n := len(r.Files); {
	case n == 0 && r.FilesField == "":
		errs.Add("media_id", "is required: a post has a file")
	case n < least || n > most:
		errs.Add(cmp.Or(r.FilesField, "media_id"), "has %d files; a %s has %s", n, r.Kind, fromTo(least, most))
		return
	}
	if !links {
		return
	}
	for i, f := range r.Files {
		if errs.Full() {
			return
		}
		if (f.MediaID == "") == (f.URL == "") {
			errs.Add(r.field(i, "media_id"), "give either media_id or media_url")
		}
		s.checkLink(ctx, errs, r.field(i, "media_url"), f.URL)
	}
}

// pull returns the check of links that the platform is to fetch itself, or nil if it is not.
func (s *Service) pull(r *Request) func(*models.FieldErrors, string) {
	kind := s.publishers.kind(r.Platform, r.Kind)
	if kind == nil {
		return nil
	}
	return kind.variant(r.Options).CheckPull
}

func fromTo(least, most int) string {
	if least == most {
		return strconv.Itoa(least)
	}
	return fmt.Sprintf("%d to %d", least, most)
}

func (s *Service) checkLink(ctx context.Context, errs *models.FieldErrors, field, link string) {
	if link == "" {
		return
	}
	if end := media.Expiry(link); !end.IsZero() && end.Before(s.Now()) {
		errs.Add(field, "has expired at %s: sign it again, or send the file to POST /api/media", end.UTC().Format(time.RFC3339))
		return
	}
	err := s.Fetcher.CheckURL(ctx, link)
	var fetch *media.FetchError
	switch {
	case err == nil:
	case errors.Is(err, egress.ErrPrivateHost), errors.Is(err, media.ErrNoHost):
		// one text for both: two would tell which names exist in our network
		errs.Add(field, "has no public address: its host is unknown, or in a private network")
	case errors.As(err, &fetch) && !fetch.Permanent:
		errs.Add(field, "cannot be reached now: %v", fetch)
	default:
		errs.Add(field, "%v", err)
	}
}

func checkDestination(errs *models.FieldErrors, r *Request, dest *db.Destination) error {
	if dest.Status == models.AccountDisconnected {
		return fmt.Errorf("%w: account %d is disconnected; connect it again first", ErrConflict, r.AccountID)
	}
	checkScopes(errs, r, dest)
	for i, f := range r.Files {
		if f.MediaID == "" {
			continue
		}
		m := dest.Media[f.MediaID]
		if m == nil {
			return &models.NotFoundError{Field: r.field(i, "media_id"), What: "media " + f.MediaID}
		}
		r.Options.CheckFile(errs, r.field(i, "media_id"), r.Kind, m)
	}
	return nil
}

// checkScopes checks that the account's owner has allowed what the options need. An account
// that was imported may not tell; then the platform will.
func checkScopes(errs *models.FieldErrors, r *Request, dest *db.Destination) {
	scoped, ok := r.Options.(Scoped)
	if !ok || dest.Scope == "" {
		return
	}
	granted := strings.Split(dest.Scope, ",")
	needs := scoped.Scopes()
	for _, field := range slices.Sorted(maps.Keys(needs)) {
		if !slices.Contains(granted, needs[field]) {
			errs.Add(r.Path+field, "needs the permission %s, which this account was connected without: connect it again and allow it", needs[field])
		}
	}
}

func (s *Service) newPost(ctx context.Context, r *Request, dest *db.Destination, now time.Time) (*models.Post, []models.PostMedia, error) {
	stored := any(r.Options)
	if s, ok := r.Options.(Storer); ok {
		stored = s.Stored()
	}
	options, err := json.Marshal(stored)
	if err != nil {
		return nil, nil, fmt.Errorf("encode the options of a post: %w", err)
	}
	p := &models.Post{
		ID: models.NewID(), AppID: r.AppID, UserID: dest.UserID, Platform: r.Platform, OAuthAccountID: dest.OAuthAccountID,
		InstagramAccountID: dest.InstagramAccountID, Kind: r.Kind, Content: models.Content{r.Platform: options}, CorrelationID: r.CorrelationID, TraceParent: observe.TraceParent(ctx),
		Lane: models.Lane(r.Platform, r.AccountID), CreatedAt: now, UpdatedAt: now,
	}
	files, err := s.newFiles(p.ID, r.Files, s.pull(r) != nil)
	if err != nil {
		return nil, nil, err
	}
	for i, f := range r.Files {
		files[i].Media = dest.Media[f.MediaID]
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
	if !p.RunAt.After(now) && s.turns.takeRoom(p.Step, now) {
		p.Admission, p.EnqueuedAt = models.AdmissionAdmitted, &now
	}
	return p, files, nil
}

// newFiles makes the rows of a post's files.
func (s *Service) newFiles(postID string, files []File, pulled bool) ([]models.PostMedia, error) {
	rows := make([]models.PostMedia, len(files))
	for i, f := range files {
		rows[i] = models.PostMedia{PostID: postID, Position: i, AltText: f.AltText}
		if f.MediaID != "" {
			rows[i].MediaID = &f.MediaID
			continue
		}
		sealed, err := s.Keys.Seal(secrets.Secret(f.URL), models.SourceSealedIn(postID, i))
		if err != nil {
			return nil, fmt.Errorf("seal media_url: %w", err)
		}
		rows[i].SourceURL, rows[i].Pulled = sealed, pulled
	}
	return rows, nil
}

func toFetch(f models.PostMedia) bool { return f.ToFetch() }

// place gives a post with these files that is to begin at the given time its state, its
// first step and its place to wait. One that waits for a file is due later; the end of its
// fetch makes it due.
func (s *Service) place(p *models.Post, files []models.PostMedia, at, now time.Time) {
	p.Step = s.firstStep(p)
	p.Status, p.Admission, p.RunAt, p.EnqueuedAt = models.Queued, models.AdmissionWaiting, &at, nil
	switch {
	case at.After(now):
		p.Status = models.Scheduled
	case slices.ContainsFunc(files, toFetch):
		fetched := models.Time(now.Add(fileWait))
		p.RunAt = &fetched
	}
}

// firstStep is where a post begins: with a transfer, unless none of its steps moves a file.
func (s *Service) firstStep(p *models.Post) models.Step {
	if kind := s.publishers.of(p); kind != nil && !kind.heavy() {
		return models.StepPublish
	}
	return models.StepTransfer
}
