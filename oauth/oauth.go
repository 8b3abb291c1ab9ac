// Package oauth owns the accounts' tokens: how they come (connect), how they are
// kept alive (refresh, checks), and how they go (disconnect, deletion). It is the
// only place that reads them in clear and the only one that writes them.
//
// The Service knows no platform. A Connector per platform makes the calls
// (oauth/tiktok, oauth/instagram), and its Traits say what a refresh costs. Whether a
// platform's account is the consent itself or is reached through a login says
// models.Platform.BehindLogin.
//
// # The life of a token
//
// Begin sends a user to the platform's consent page, under a state that only
// Finish knows; Finish exchanges the code and stores the consent. From then on
// the account's row says when its tokens need maintenance (upkeep_at). The scheduler
// turns that into a task, and Upkeep refreshes or checks; a job whose token is
// refused in the middle asks Renew for the same.
//
// A refresh may use the refresh token up. So it is claimed in the row first: the
// claim locks the row, checks again whether the refresh is needed, and writes that
// one is under way before the call is made. Whoever comes second waits. The new pair
// is stored in one statement that names the claim's fence, and nobody uses it before.
// What a crash leaves behind:
//
//   - before the claim is committed: nothing happened;
//   - before the answer is stored: the row says that a refresh was sent and its
//     answer is not known (RefreshUnsettled). The old access token is used as long
//     as it lives; only then, with nothing to lose, the old refresh token is tried
//     once more;
//   - after: the new pair is there for everybody.
//
// A refresh that only prolongs the access token (Traits.Prolongs) uses nothing up,
// and is repeated after a lost answer.
//
// A refresh has three results: new tokens; "later", after which the account stays
// active whatever the number of failures; or "dead", for which there is a list of the
// platforms' own codes in their clients and nothing else. A dead account waits for its
// owner, and its posts with it.
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
	// ErrReauthorize: the platform refused the token for good. The account's
	// owner has to connect it again.
	ErrReauthorize = errors.New("the account needs to be connected again")
	// ErrDisconnected: the account was disconnected.
	ErrDisconnected = errors.New("the account is disconnected")
	// ErrNotConfigured: this installation lacks the platform's credentials.
	ErrNotConfigured = errors.New("not configured")
)

// LaterError: there is no usable token at the moment. The account stays as it is.
type LaterError struct {
	// In is when it is worth asking again.
	In  time.Duration
	Err error
}

// Error tells the wait and its cause.
func (e *LaterError) Error() string {
	return fmt.Sprintf("no usable token for another %s: %v", e.In.Round(time.Second), e.Err)
}

// Unwrap gives the cause.
func (e *LaterError) Unwrap() error { return e.Err }

// Queue takes the tasks of upkeep.
type Queue interface {
	// EnqueueUpkeep asks for one Upkeep of an account. That the same is asked
	// already, for the same fence, is success.
	EnqueueUpkeep(ctx context.Context, accountID, fence int64) error
}

// Deps is what the service works with.
type Deps struct {
	DB *db.DB
	// Keys may be nil in a process that only schedules.
	Keys *secrets.Keyring
	// Redis holds the connects that are under way. It may be nil where none begin.
	Redis redis.UniversalClient
	// Queue may be nil in a process that does not schedule.
	Queue Queue
	// Connectors are one for each platform. They may be missing in a process that only
	// imports, reads or reseals tokens.
	Connectors []Connector
	// PublicURL is how browsers and platforms reach the api.
	PublicURL string
	// Metrics may be nil, where nobody looks at them.
	Metrics *observe.Metrics
	// Log may be nil, for tools whose user reads their output.
	Log logrus.FieldLogger
	Now func() time.Time
}

// Service carries out the use cases of accounts. It is safe for concurrent use.
type Service struct {
	Deps
	connects   connects
	connectors map[models.Platform]Connector
}

// New makes a Service.
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

// connector finds that of a platform. A platform without one is not configured.
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

// traits are those of a platform; the careful ones if it has no connector here.
func (s *Service) traits(p models.Platform) Traits {
	if c, ok := s.connectors[p]; ok {
		return c.Traits()
	}
	return Traits{Name: string(p)}
}

// How long writes are tried that must not be lost (db.Persist).
const (
	// keepPairFor is how long the storing of a new pair of tokens is tried, of which
	// the platform has already forgotten the older one: longer than a database takes
	// to fail over.
	keepPairFor = 3 * time.Minute
	// persistFor is the same for what somebody waits for, or can be found out again.
	persistFor = 20 * time.Second
)
