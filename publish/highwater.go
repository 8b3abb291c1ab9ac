package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"socialqueue/highwater"
	"socialqueue/models"
	"socialqueue/observe"
)

// This file notices a restored database before anything is sent from it. The high-water
// mark, which is kept outside the database, says how far sending has come. It is compared
// with the database before the first call of a process, every few seconds by the scheduler,
// and whenever the record of a call stands in another database than the one compared.

// errRestored: the database is not the one that was compared with the mark. The run begins
// again, and finds out whether its post has to be searched for.
var errRestored = errors.New("the database was restored or replaced meanwhile")

const (
	// markTimeout bounds a call to the store of the mark.
	markTimeout = 2 * time.Second
	// restoresFor is how long the list of restores is kept in mind. A newer restore is
	// noticed at the latest when a call is recorded.
	restoresFor = time.Second
	// maxCompares bounds how often a comparison is repeated because another process wrote
	// the mark meanwhile.
	maxCompares = 5
)

// watch is what a process knows of its database.
type watch struct {
	mu sync.Mutex
	// identity is that of the database that was compared with the mark; empty before.
	identity string
	// restores are all of them, newest first, as read at readAt.
	restores []models.Restore
	readAt   time.Time
}

// CompareMark compares the database with its high-water mark. It is one tick of the
// scheduler.
func (s *Service) CompareMark(ctx context.Context) error {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	return s.compare(ctx)
}

// knownRestores lists the restores, newest first, of a database that was compared with its
// mark.
func (s *Service) knownRestores(ctx context.Context) ([]models.Restore, error) {
	w := &s.watch
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.identity == "" {
		if err := s.compare(ctx); err != nil {
			return nil, err
		}
	}
	if now := s.Now(); now.Sub(w.readAt) >= restoresFor || w.readAt.IsZero() {
		restores, err := s.DB.Restores.List(ctx)
		if err != nil {
			return nil, err
		}
		w.restores, w.readAt = restores, now
	}
	return w.restores, nil
}

// compare compares until the mark that it read is the one that it leaves.
func (s *Service) compare(ctx context.Context) error {
	for range maxCompares {
		done, err := s.compareOnce(ctx)
		if err != nil || done {
			return err
		}
	}
	return errors.New("the high-water mark changed again and again while it was compared; it is compared again before the next call")
}

func (s *Service) compareOnce(ctx context.Context) (done bool, err error) {
	mark, err := s.readMark(ctx)
	if err != nil {
		return false, err
	}
	found, err := s.DB.Restores.Compare(ctx, mark, s.Now())
	if err != nil {
		return false, err
	}
	if mark == nil || found.Restore != nil || mark.Identity != found.Mark.Identity {
		replaced, err := s.replaceMark(ctx, mark, found.Mark)
		if err != nil || !replaced {
			return false, err
		}
	}
	if err := s.DB.Restores.Settle(ctx, found.Mark.Identity); err != nil {
		return false, err
	}
	s.watch.identity, s.watch.readAt = found.Mark.Identity, time.Time{}
	switch {
	case found.Restore != nil:
		s.reportRestore(found.Restore)
	case found.Unmarked:
		s.Log.Warn("the high-water mark of sending was lost, with Redis or the data folder; it is written again. " +
			"If the database was restored from a backup as well, run `socialqueue restored --as-of TIME` now")
	}
	return true, nil
}

func (s *Service) reportRestore(r *models.Restore) {
	s.Log.WithFields(logrus.Fields{
		observe.FieldAction: "restored", "restore": r.ID, "reason": r.Reason, "asOf": r.AsOf.Format(time.RFC3339),
	}).Error("the database lacks calls that were made: it was restored from a backup or replaced. " +
		"Posts that it calls unsent are searched for on their platform before they are sent; `socialqueue restored list` shows those that wait for you")
}

func (s *Service) readMark(ctx context.Context) (*highwater.Mark, error) {
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	return s.Marks.Read(ctx)
}

func (s *Service) replaceMark(ctx context.Context, old *highwater.Mark, m highwater.Mark) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	return s.Marks.Replace(ctx, old, m)
}

// raiseMark raises the mark to a call that is recorded and not made yet. An error means that
// the call must not be made; errRestored that the database has to be compared first.
func (s *Service) raiseMark(ctx context.Context, seq int64) error {
	s.watch.mu.Lock()
	identity := s.watch.identity
	s.watch.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, markTimeout)
	defer cancel()
	mark, err := s.Marks.Advance(ctx, highwater.Mark{Identity: identity, Seq: seq})
	if err != nil {
		return fmt.Errorf("nothing is sent while it cannot be noted: %w", err)
	}
	if mark.Identity != identity {
		return s.forget()
	}
	if seq >= mark.Seq {
		return nil
	}
	// Another process recorded its call later and made it sooner, which is usual, or the
	// ledger counts the same numbers a second time.
	reaches, err := s.DB.Restores.Reaches(ctx, mark.Seq)
	if err != nil {
		return err
	}
	if !reaches {
		return s.forget()
	}
	return nil
}

// isHere reports whether a place is that of the database that was compared with the mark.
func (s *Service) isHere(place string) bool {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	return s.watch.identity != "" && (place == "" || strings.HasSuffix(s.watch.identity, "/"+place))
}

// forget has the database compared with its mark before the next call.
func (s *Service) forget() error {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	s.watch.identity = ""
	return errRestored
}
