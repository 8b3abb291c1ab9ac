package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/observe"
)

// The files behind customers' links are fetched by jobs of their own, soon after the post is
// accepted: such a link is often signed for hours, and a bad one has to be known long before
// the post's time. A post whose file is missing waits for it without a worker. It is made due
// by the transaction that stores its last file, or that finds that a file cannot be fetched.

const (
	// fileWait is how long a due post waits for a file before it asks for it again. The end
	// of the fetch makes it due much sooner.
	fileWait = 5 * time.Minute
	// appFetches is how many fetches of one app are in Asynq at once, so that a backlog of
	// links of one app is not in front of everyone else's.
	appFetches = 8
)

// FetchTask is the work of fetching one file.
type FetchTask struct {
	PostID        string
	Position      int
	AppID         int64
	Fence         int64
	CorrelationID string
}

// newFetches returns the fetches that a post's files need.
func newFetches(appID int64, files []models.PostMedia, now time.Time) []models.Fetch {
	var fetches []models.Fetch
	for _, f := range files {
		if f.ToFetch() {
			fetches = append(fetches, models.Fetch{PostID: f.PostID, Position: f.Position, AppID: appID, DueAt: &now})
		}
	}
	return fetches
}

// EnqueueFetches gives the due fetches of each app a task, a few at a time. It is one tick of
// the scheduler, and the guarantee behind enqueueFetches.
func (s *Service) EnqueueFetches(ctx context.Context) error {
	apps, err := s.DB.Fetches.Apps(ctx, s.Now())
	if err != nil {
		return err
	}
	for _, app := range apps {
		if err := s.offerFetches(ctx, app); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) offerFetches(ctx context.Context, appID int64) error {
	due, err := s.DB.Fetches.Due(ctx, appID, s.Now(), appFetches)
	if err != nil {
		return err
	}
	for _, f := range due {
		task := FetchTask{PostID: f.PostID, Position: f.Position, AppID: f.AppID, Fence: f.Fence, CorrelationID: observe.CorrelationID(ctx)}
		if err := s.Queue.EnqueueFetch(ctx, task); err != nil {
			return fmt.Errorf("enqueue the fetch for post %s: %w", f.PostID, err)
		}
	}
	return nil
}

// enqueueFetches is the fast path for when an app has a new fetch, or one ended.
func (s *Service) enqueueFetches(ctx context.Context, appID int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), enqueueTimeout)
	defer cancel()
	if err := s.offerFetches(ctx, appID); err != nil {
		observe.In(ctx, s.Log).WithError(err).Warn("could not enqueue fetches; the next tick will")
	}
}

// Fetch brings one file of a post into our storage. A task whose fence is not the row's any
// more has nothing to do, which is no error.
func (s *Service) Fetch(ctx context.Context, task FetchTask, drain <-chan struct{}) error {
	f := &models.Fetch{PostID: task.PostID, Position: task.Position, AppID: task.AppID, Fence: task.Fence}
	err := s.DB.Fetches.Claim(ctx, f, s.Now(), s.Timings.Lease)
	if errors.Is(err, db.ErrStale) || errors.Is(err, db.ErrNotFound) {
		observe.AttemptOf(ctx).Outcome = observe.AttemptRevoked
		return nil
	}
	if err != nil {
		return err
	}
	defer s.enqueueFetches(ctx, f.AppID)
	post, err := s.DB.Posts.ByID(ctx, f.PostID)
	if err != nil {
		return err
	}
	r := &fetchRun{Service: s, fetch: f, post: post}
	r.log = observe.OfPost(s.Log, post)
	if post.Admission == models.AdmissionNone { // it ended
		return staleIsNil(s.DB.Fetches.Drop(ctx, f))
	}
	ctx, stop := s.keep(ctx, r.renewFetch, &r.moves, func() {
		r.log.Warnf("nothing moved for %s, so this run gave the fetch up: the storage of the files hangs; another run takes over", s.Timings.Stall)
	})
	defer stop()
	ctx, cancel := withDrain(ctx, drain)
	defer cancel()
	return r.conclude(ctx, r.fetchFile(ctx))
}

func staleIsNil(err error) error {
	if errors.Is(err, db.ErrStale) {
		return nil
	}
	return err
}

// withDrain returns a context that also ends when the process stops.
func withDrain(ctx context.Context, drain <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	done := make(chan struct{})
	go func() {
		select {
		case <-drain:
			cancel(errDraining)
		case <-done:
		}
	}()
	return ctx, func() {
		close(done)
		cancel(context.Canceled)
	}
}

// fetchRun is one run of a fetch.
type fetchRun struct {
	*Service
	fetch *models.Fetch
	post  *models.Post
	moves moves
	log   logrus.FieldLogger
}

func (r *fetchRun) renewFetch(ctx context.Context, until time.Time) error {
	return r.DB.Fetches.Renew(ctx, r.fetch, until)
}

// fetchFile fetches, checks and stores the file.
func (r *fetchRun) fetchFile(ctx context.Context) error {
	files, err := r.DB.Posts.Files(ctx, r.post.ID)
	if err != nil {
		return err
	}
	if r.fetch.Position >= len(files) || !files[r.fetch.Position].ToFetch() {
		return staleIsNil(r.DB.Fetches.Drop(ctx, r.fetch)) // the previous release fetched it
	}
	file := files[r.fetch.Position]
	kind := r.publishers.of(r.post)
	if kind == nil {
		return noPublisher(r.post)
	}
	link, err := r.Keys.Open(file.SourceURL, models.SourceSealedIn(file.PostID, file.Position))
	if err != nil {
		return fmt.Errorf("open media_url: %w", err)
	}
	body, length, err := r.Fetcher.Open(ctx, link.Reveal())
	if err != nil {
		return err
	}
	defer body.Close()
	if r.Room != nil {
		if err := r.Room(ctx, r.post.AppID, max(length, 1)); err != nil {
			return err
		}
	}
	id := models.NewID()
	info, err := r.Store.Save(ctx, id, moving{body, &r.moves})
	if err != nil {
		return err
	}
	return r.keepFile(ctx, kind, file, mediaRow(id, r.post.AppID, info, r.Now()))
}

// keepFile makes a fetched file one of the post's, if the platform takes it.
func (r *fetchRun) keepFile(ctx context.Context, kind *Kind, file models.PostMedia, m *models.Media) error {
	options, err := kind.Decode(r.post.Options())
	if err != nil {
		return fmt.Errorf("decode the options of post %s: %w", r.post.ID, err)
	}
	var errs models.FieldErrors
	options.CheckFile(&errs, fieldOfLink(file.Position, kind), r.post.Kind, m)
	if err := errs.Err(); err != nil {
		return joinCleanup(err, r.Store.Delete(context.WithoutCancel(ctx), m.ID))
	}
	file.MediaID, file.SourceURL, file.Media = &m.ID, "", m
	event := r.event(fmt.Sprintf("fetched the file: %d bytes, %s", m.Bytes, m.ContentType))
	var woken bool
	err = db.Persist(ctx, r.Timings.Lease, func(ctx context.Context) (err error) {
		woken, err = r.DB.Fetches.Done(ctx, r.fetch, file, m, event)
		return err
	}, func(err error) { r.log.WithError(err).Warn("could not store a fetched file; trying again") })
	if errors.Is(err, db.ErrStale) {
		// Another run took over, or the first try was committed and its answer lost: then the
		// row of the file is there.
		if _, found := r.DB.Media.ByID(context.WithoutCancel(ctx), m.ID); errors.Is(found, db.ErrNotFound) {
			return joinCleanup(err, r.Store.Delete(context.WithoutCancel(ctx), m.ID))
		}
		woken, err = true, nil
	}
	if woken && err == nil {
		r.admitWoken(ctx)
	}
	return err
}

// fieldOfLink names a customer's link in errors.
func fieldOfLink(position int, kind *Kind) string {
	if kind.maxFiles() == 1 {
		return "media_url"
	}
	return fmt.Sprintf("media_url of file %d", position+1)
}

func (r *fetchRun) event(message string) models.PostEvent {
	return models.PostEvent{PostID: r.post.ID, At: r.Now(), Type: models.EventNote, Message: plain(message), Fence: r.post.Fence}
}

// conclude writes the result of a run that stored no file.
func (r *fetchRun) conclude(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	noteError(ctx, err)
	ctx = context.WithoutCancel(ctx)
	now := r.Now()
	switch {
	case err == nil, errors.Is(err, db.ErrStale):
		return nil
	case errors.Is(cause, errLostLease):
		noteLostLease(ctx)
		return nil // another run takes over
	case cause != nil: // the process stops
		return staleIsNil(r.DB.Fetches.Again(ctx, r.fetch, now, r.fetch.Attempts))
	case cannotFetch(err):
		return r.fail(ctx, err)
	}
	if !mayPass(err) {
		r.log.WithError(err).Error("internal error; the file is fetched again soon")
		return staleIsNil(r.DB.Fetches.Again(ctx, r.fetch, now.Add(internalWait), r.fetch.Attempts))
	}
	if r.fetch.Attempts >= len(r.Timings.Retries) {
		return r.fail(ctx, fmt.Errorf("gave up after %d attempts: %w", r.fetch.Attempts+1, err))
	}
	return r.again(ctx, r.Timings.Retries[r.fetch.Attempts], err)
}

// mayPass reports whether an error of the server, or of the app's quota, may be gone after a
// while. Any other is our own.
func mayPass(err error) bool {
	_, fetched := errors.AsType[*media.FetchError](err)
	_, full := errors.AsType[*models.QuotaError](err)
	return fetched || full
}

// cannotFetch reports whether another attempt cannot help.
func cannotFetch(err error) bool {
	_, checks := errors.AsType[models.FieldErrors](err)
	return checks || unusable(err)
}

// again has the file fetched again later, and says so in the timeline.
func (r *fetchRun) again(ctx context.Context, wait time.Duration, err error) error {
	wait += time.Duration(retryJitter * r.Rand() * float64(wait))
	due := models.Time(r.Now().Add(wait))
	if err := r.DB.Fetches.Again(ctx, r.fetch, due, r.fetch.Attempts+1); err != nil {
		return staleIsNil(err)
	}
	return r.DB.Posts.AddEvents(ctx, r.event(fmt.Sprintf("attempt %d to fetch the file failed: %v", r.fetch.Attempts+1, err)))
}

// fail gives the file up. The post's next run, which is due now, fails the post.
func (r *fetchRun) fail(ctx context.Context, err error) error {
	why := plain(err.Error())
	woken, err := r.DB.Fetches.Fail(ctx, r.fetch, why, r.event("the file cannot be fetched: "+why))
	if err == nil && woken {
		r.admitWoken(ctx)
	}
	return staleIsNil(err)
}

// admitWoken is the fast path of a post that was made due.
func (r *fetchRun) admitWoken(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	p, err := r.DB.Posts.ByID(ctx, r.post.ID)
	if err != nil {
		r.log.WithError(err).Warn("could not admit the post whose file was fetched; the next tick will")
		return
	}
	if p.Admission == models.AdmissionWaiting {
		r.admitAgain(ctx, p)
	}
}

// errNoFile means that a file of the post is not here yet. The post waits for it.
var errNoFile = errors.New("waiting for the file behind media_url")

// needFiles returns nil if all files of the post are here. It returns errNoFile if one is
// being fetched, and a *fileError if one cannot be fetched. Of a file that the previous
// release left, it begins the fetch.
func (r *run) needFiles(ctx context.Context) error {
	if err := r.readFiles(ctx); err != nil {
		return err
	}
	missing := newFetches(r.post.AppID, r.files, r.Now())
	if len(missing) == 0 {
		return nil
	}
	known, err := r.DB.Fetches.Of(ctx, r.post.ID)
	if err != nil {
		return err
	}
	var begin []models.Fetch
	for _, f := range missing {
		switch k, found := known[f.Position]; {
		case !found:
			begin = append(begin, f)
		case k.Error != "":
			return &fileError{k.Error}
		}
	}
	if err := r.DB.Fetches.Begin(ctx, begin); err != nil {
		return err
	}
	r.enqueueFetches(ctx, r.post.AppID)
	return errNoFile
}

// fileError says why a file could not be fetched.
type fileError struct{ why string }

// Error returns the reason.
func (e *fileError) Error() string { return e.why }

// awaitFile is for a post whose file is being fetched.
func (r *run) awaitFile() outcome {
	o := r.later(fileWait, "", errNoFile.Error())
	o.awaitsFile = true
	return o
}

// wakeIfFetched makes the post due if its files came while this run held it: the end of a
// fetch skips posts that a run holds.
func (r *run) wakeIfFetched(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	known, err := r.DB.Fetches.Of(ctx, r.post.ID)
	for _, f := range known {
		if f.Error == "" {
			return // its end will make the post due
		}
	}
	if err == nil {
		_, err = r.DB.Fetches.Wake(ctx, r.post.ID, r.Now())
	}
	if err != nil {
		r.log.WithError(err).Warn("could not check whether the file was fetched; the post checks by itself")
	}
}

// noPublisher means that this program is older than the post.
func noPublisher(p *models.Post) error {
	return fmt.Errorf("this program has no publisher for a %s %s; start a version that has", p.Platform, p.Kind)
}
