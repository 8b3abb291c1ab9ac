// Package oauth owns the tokens of accounts: how they are obtained (connect), kept valid
// (refresh, checks) and given up (disconnect, deletion). No other package decrypts or
// writes them.
//
// The Service is independent of platforms. Each platform has a Connector that makes the
// calls (oauth/tiktok, oauth/instagram); its Traits describe how a refresh works.
// models.Platform.BehindLogin says whether an account is the consent itself or is reached
// through a login.
//
// # The life of a token
//
// Begin sends a user to the platform's consent page with a random state. Finish accepts
// that state once, exchanges the code and stores the consent. From then on the account's
// row says when its tokens need maintenance (upkeep_at). The scheduler enqueues a task for
// it, and Maintain refreshes or checks the tokens. A job whose token is refused while it
// runs calls Renew.
//
// A refresh may consume the refresh token, so it is claimed in the row first. The claim
// locks the row, checks again whether the refresh is needed, and records that a refresh is
// under way before the call is made. Other callers wait. The new pair is stored in one
// statement that checks the claim's fence, and is not used before. After a crash:
//
//   - before the claim is committed: nothing happened;
//   - before the answer is stored: the row says that a refresh was sent and its result
//     is unknown (RefreshUnsettled). The old access token is used until it expires.
//     Then the old refresh token is tried once more;
//   - after that: every process reads the new pair.
//
// A refresh that only prolongs the access token (Traits.Prolongs) consumes nothing, and is
// repeated after a lost answer.
//
// A refresh has three results. New tokens; "later", after which the account stays active
// however often it failed; or "dead", which only the platform's own codes listed in its
// client can cause. A dead account and its posts wait until the owner connects it again.
package oauth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"

	"socialqueue/db"
	"socialqueue/models"
	"socialqueue/observe"
	"socialqueue/secrets"
)

var (
	// ErrReauthorize means that the platform refused the token for good. The account's owner
	// has to connect it again.
	ErrReauthorize = errors.New("the account needs to be connected again")
	// ErrDisconnected means that the account was disconnected.
	ErrDisconnected = errors.New("the account is disconnected")
	// ErrNotConfigured means that this installation lacks the platform's credentials.
	ErrNotConfigured = errors.New("not configured")
)

// LaterError means that there is no usable token at the moment. The account stays as it is.
type LaterError struct {
	// In is the wait before the next attempt.
	In  time.Duration
	Err error
}

// Error returns the wait and its cause.
func (e *LaterError) Error() string {
	return fmt.Sprintf("no usable token for the next %s: %v", e.In.Round(time.Second), e.Err)
}

// Unwrap returns the cause.
func (e *LaterError) Unwrap() error { return e.Err }

// Queue enqueues token maintenance.
type Queue interface {
	// EnqueueMaintenance enqueues one Maintain of an account. If a task for the same fence
	// exists already, it returns nil.
	EnqueueMaintenance(ctx context.Context, accountID, fence int64) error
}

// Deps holds the dependencies of a Service.
type Deps struct {
	DB *db.DB
	// Keys may be nil in a process that only schedules.
	Keys *secrets.Keyring
	// Redis stores pending connects. It may be nil in a process that begins none.
	Redis redis.UniversalClient
	// Queue may be nil in a process that does not schedule.
	Queue Queue
	// Connectors holds one for each platform. It may be empty in a process that only
	// imports, reads or re-encrypts tokens.
	Connectors []Connector
	// PublicURL is the address under which browsers and platforms reach the api.
	PublicURL string
	// Metrics may be nil if none are exported.
	Metrics *observe.Metrics
	// Log may be nil, for command line tools.
	Log logrus.FieldLogger
	Now func() time.Time
}

// Service implements the use cases of accounts. It is safe for concurrent use.
type Service struct {
	Deps
	connects   connects
	connectors map[models.Platform]Connector
}

// New returns a Service.
func New(deps Deps) *Service {
	now := deps.Now
	deps.Now = func() time.Time { return models.Time(now()) }
	if deps.Log == nil {
		quiet := logrus.New()
		quiet.SetLevel(logrus.PanicLevel)
		deps.Log = quiet
	}
	if deps.Metrics == nil {
		deps.Metrics = observe.NewMetrics()
	}
	connectors := make(map[models.Platform]Connector, len(deps.Connectors))
	for _, c := range deps.Connectors {
		connectors[c.Platform()] = c
	}
	return &Service{Deps: deps, connects: connects{redis: deps.Redis, keys: deps.Keys}, connectors: connectors}
}

// connector returns a platform's connector, or ErrNotConfigured.
func (s *Service) connector(p models.Platform) (Connector, error) {
	if c, ok := s.connectors[p]; ok {
		return c, nil
	}
	return nil, fmt.Errorf("%s: %w", p, ErrNotConfigured)
}

func (s *Service) loginConnector(p models.Platform) (LoginConnector, error) {
	if c, ok := s.connectors[p].(LoginConnector); ok {
		return c, nil
	}
	return nil, fmt.Errorf("%s: %w", p, ErrNotConfigured)
}

// traits returns a platform's Traits, or the safe zero value if it has no connector here.
func (s *Service) traits(p models.Platform) Traits {
	if c, ok := s.connectors[p]; ok {
		return c.Traits()
	}
	return Traits{Name: string(p)}
}

// How long writes that must not be lost are retried (db.Persist).
const (
	// keepPairFor is for a new pair of tokens whose older one the platform already dropped.
	// It is longer than a database failover.
	keepPairFor = 3 * time.Minute
	// persistFor is for writes that a caller waits for, or that can be repeated later.
	persistFor = 20 * time.Second
)
