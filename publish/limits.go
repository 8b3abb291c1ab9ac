package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/oauth"
	"socialqueue/observe"
	"socialqueue/platform"
)

const (
	// limitsFresh is how long an answer about an account's limits is good: platforms limit
	// these reads too (20 a minute and token at TikTok).
	limitsFresh = time.Minute
	// refusalFresh is the same for an answer that was an error.
	refusalFresh = 5 * time.Second
	// limitsTime limits a read.
	limitsTime    = 12 * time.Second
	maxLimitsKept = 10_000
)

// LimitReader is a Publisher whose platform tells what an account may do now.
type LimitReader interface {
	Publisher
	// ReadLimits asks the platform; it changes nothing there. CheckedAt is set by the caller.
	ReadLimits(ctx context.Context, token oauth.Token) (Limits, error)
	// CheckLimits notes what of a post the account may not do, by what ReadLimits returned a
	// moment ago. media are the files that are known already; the app named them in field.
	CheckLimits(errs *models.FieldErrors, limits Limits, options Options, field string, media []*models.Media)
}

// Limits is what a platform allows an account now.
type Limits struct {
	Limits []Limit
	// Creator is what the platform says of the account for the form of a post, in the
	// platform's own names: a value that encodes as a JSON object, or nil.
	Creator   any
	CheckedAt time.Time
}

// Limit is a number of things in a time that an account may do.
type Limit struct {
	// Name says of what, such as "posts".
	Name        string
	Window      time.Duration
	Limit, Used int
	// Source says who counted.
	Source LimitSource
	// FreeAt is when there is room again; zero if there is room now, or nobody knows.
	FreeAt time.Time
}

// LimitSource says where the numbers of a Limit come from.
type LimitSource string

// The sources of limits.
const (
	LimitOfPlatform LimitSource = "platform" // the platform said so
	LimitCounted    LimitSource = "counted"  // counted here; the platform does not say
)

// Limits returns what an account of an app may do now: what the platform tells, which may be a
// minute old, and the limits that are counted here. An account that the app does not have is db.ErrNotFound, one that is disconnected
// ErrConflict. The other errors are those of oauth.Service.For and of the platform.
func (s *Service) Limits(ctx context.Context, appID int64, p models.Platform, accountID int64) (Limits, error) {
	r := &Request{AppID: appID, Platform: p, AccountID: accountID}
	dest, err := s.destination(ctx, r, s.Now())
	if err != nil {
		return Limits{}, err
	}
	if dest.Status == models.AccountDisconnected {
		return Limits{}, fmt.Errorf("%w: account %d is disconnected; connect it again first", ErrConflict, accountID)
	}
	limits, err := s.platformLimits(ctx, p, models.Lane(p, accountID), dest)
	if err != nil {
		return Limits{}, err
	}
	counted, err := s.counted(ctx, p, models.Lane(p, accountID))
	limits.Limits = append(slices.Clone(limits.Limits), counted...)
	return limits, err
}

// counted are the limits of an account that are counted here.
func (s *Service) counted(ctx context.Context, p models.Platform, lane string) ([]Limit, error) {
	now := s.Now()
	var limits []Limit
	for _, b := range s.publishers.budgets(p) {
		used, err := s.DB.Runs.Used(ctx, b.of(lane), now)
		if err != nil {
			return nil, err
		}
		limit := Limit{Name: b.Name, Window: b.Within, Limit: b.Most, Used: used, Source: LimitCounted}
		err = s.DB.Runs.Free(ctx, b.of(lane), now)
		if spent, ok := errors.AsType[*db.SpentError](err); ok {
			limit.FreeAt, err = spent.Until, nil
		}
		if err != nil {
			return nil, err
		}
		limits = append(limits, limit)
	}
	return limits, nil
}

// platformLimits is what the platform says; nothing if it does not tell.
func (s *Service) platformLimits(ctx context.Context, p models.Platform, lane string, dest *db.Destination) (Limits, error) {
	reader, ok := s.limitReaders[p]
	if !ok {
		return Limits{CheckedAt: s.Now()}, nil
	}
	if kept, ok := s.limits.get(lane, s.Now()); ok {
		return kept.limits, kept.err
	}
	// A caller that leaves must not fail the others that wait for the same answer.
	ctx = context.WithoutCancel(ctx)
	read, err, _ := s.limits.calls.Do(lane, func() (any, error) {
		ctx, cancel := context.WithTimeout(ctx, limitsTime)
		defer cancel()
		limits, err := s.readLimits(ctx, reader, dest)
		limits.CheckedAt = s.Now()
		s.limits.keep(lane, limits, err, s.Now())
		return limits, err
	})
	limits, _ := read.(Limits)
	return limits, err
}

// readLimits asks the platform, and once more with a new token if the token was refused.
func (s *Service) readLimits(ctx context.Context, reader LimitReader, dest *db.Destination) (Limits, error) {
	account := &models.Post{OAuthAccountID: dest.OAuthAccountID, InstagramAccountID: dest.InstagramAccountID}
	ctx = platform.WithRecorder(ctx, func(c platform.Call) {
		s.Metrics.PlatformCalled(string(c.Provider), c.Op, c.Outcome(), c.Duration)
		observe.Called(observe.In(ctx, s.Log), c)
	})
	token, err := s.Tokens.For(ctx, account)
	if err != nil {
		return Limits{}, err
	}
	limits, err := reader.ReadLimits(ctx, token)
	if err == nil || platform.KindOf(err) != platform.AuthExpired {
		return limits, err
	}
	if err := s.Tokens.Renew(ctx, token, err); err != nil {
		return Limits{}, err
	}
	if token, err = s.Tokens.For(ctx, account); err != nil {
		return Limits{}, err
	}
	return reader.ReadLimits(ctx, token)
}

// checkLimits checks a request against an answer that is at hand. The check right before
// sending is the one that counts.
func (s *Service) checkLimits(errs *models.FieldErrors, r *Request, dest *db.Destination, now time.Time) {
	reader, ok := s.limitReaders[r.Platform]
	if !ok {
		return
	}
	kept, ok := s.limits.get(models.Lane(r.Platform, r.AccountID), now)
	if !ok || kept.err != nil {
		return
	}
	var files []*models.Media
	for _, id := range r.mediaIDs() {
		files = append(files, dest.Media[id])
	}
	var own models.FieldErrors
	reader.CheckLimits(&own, kept.limits, r.Options, r.field(0, "media_id"), files)
	r.add(errs, own)
}

// limitsCache keeps the newest answers about accounts, by lane. It is safe for concurrent use.
type limitsCache struct {
	calls singleflight.Group

	mu    sync.Mutex
	known map[string]keptLimits
}

type keptLimits struct {
	limits Limits
	err    error
	until  time.Time
}

func (c *limitsCache) get(lane string, now time.Time) (keptLimits, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	kept, ok := c.known[lane]
	return kept, ok && now.Before(kept.until)
}

// keep keeps an answer of the platform, also a refusal. Internal errors are not kept.
func (c *limitsCache) keep(lane string, limits Limits, err error, now time.Time) {
	life := limitsFresh
	if err != nil {
		if _, ok := errors.AsType[*platform.Error](err); !ok {
			return
		}
		life = refusalFresh
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxLimitsKept {
		clear(c.known)
	}
	c.known[lane] = keptLimits{limits, err, now.Add(life)}
}
