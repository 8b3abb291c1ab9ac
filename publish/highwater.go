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
	// mark is the newest one that is known to be in the database. Its identity is that of
	// the database that was compared; empty before.
	mark highwater.Mark
	// restores are all of them, newest first, as read at readAt.
	restores []models.Restore
	readAt   time.Time
}

// ErrMarkUnreadable is returned by CheckMark if the high-water mark cannot be read. Nothing
// is sent then.
var ErrMarkUnreadable = errors.New("the high-water mark cannot be read")

// CheckMark returns the reason for which CompareMark would find the database restored; empty
// if there is none. unmarked reports that the mark is gone, and nothing else says that the
// database was restored. It changes neither the database nor the mark.
func (s *Service) CheckMark(ctx context.Context) (reason models.RestoreReason, unmarked bool, err error) {
	mark, err := s.readMark(ctx)
	if err != nil {
		return "", false, fmt.Errorf("%w: %w", ErrMarkUnreadable, err)
	}
	return s.DB.Restores.Doubt(ctx, mark)
}

// known returns the restores, if they are as fresh as they have to be at now.
func (w *watch) known(now time.Time) (restores []models.Restore, fresh bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.restores, w.mark.Identity != "" && !w.readAt.IsZero() && now.Sub(w.readAt) < restoresFor
}

func (w *watch) set(restores []models.Restore, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.restores, w.readAt = restores, at
}

// compared returns the newest mark that is known to be in the database; without an
// identity if the database was not compared.
func (w *watch) compared() highwater.Mark {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.mark
}

// setCompared has the restores read again for a database.
func (w *watch) setCompared(m highwater.Mark) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mark, w.readAt = m, time.Time{}
}

// raised notes a newer mark of the same database.
func (w *watch) raised(m highwater.Mark) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m.Identity == w.mark.Identity && m.Seq > w.mark.Seq {
		w.mark = m
	}
}

// CompareMark compares the database with its high-water mark. It is one tick of the
// scheduler.
func (s *Service) CompareMark(ctx context.Context) error { return s.compare(ctx) }

// knownRestores lists the restores, newest first, of a database that was compared with its
// mark. Several runs may compare at once, as several processes may.
func (s *Service) knownRestores(ctx context.Context) ([]models.Restore, error) {
	restores, fresh := s.watch.known(s.Now())
	if fresh {
		return restores, nil
	}
	if s.watch.compared().Identity == "" {
		if err := s.compare(ctx); err != nil {
			return nil, err
		}
	}
	now := s.Now()
	restores, err := s.DB.Restores.List(ctx)
	if err == nil {
		s.watch.set(restores, now)
	}
	return restores, err
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
	if mark == nil || *mark != found.Mark {
		replaced, err := s.replaceMark(ctx, mark, found.Mark)
		if err != nil || !replaced {
			return false, err
		}
	}
	if err := s.DB.Restores.Settle(ctx, found.Mark.Identity); err != nil {
		return false, err
	}
	s.watch.setCompared(found.Mark)
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

// maxRaises bounds the tries to raise the mark while other runs raise it first.
const maxRaises = 100

// raiseMark notes outside the database that a recorded call is made now. seen is the mark
// that was known before. An error means that the call must not be made; errRestored that the
// database has to be compared first.
func (s *Service) raiseMark(ctx context.Context, e *models.LedgerEntry, seen highwater.Mark) error {
	mine := highwater.New(seen.Identity, e.ID, e.CreatedAt)
	for range maxRaises {
		replaced, err := s.replaceMark(ctx, &seen, mine)
		if err != nil {
			return fmt.Errorf("nothing is sent while it cannot be noted: %w", err)
		}
		if replaced {
			s.watch.raised(mine)
			return nil
		}
		other, err := s.otherMark(ctx, seen.Identity)
		if err != nil {
			return err
		}
		if other.Seq > mine.Seq { // recorded later and made sooner
			return nil
		}
		if other.Seq == mine.Seq {
			return s.forget()
		}
		seen = other
	}
	return errors.New("nothing is sent while it cannot be noted: the high-water mark changed again and again")
}

// otherMark reads the mark that another run raised, and makes sure that its call is in this
// database.
func (s *Service) otherMark(ctx context.Context, identity string) (highwater.Mark, error) {
	mark, err := s.readMark(ctx)
	if err != nil {
		return highwater.Mark{}, fmt.Errorf("nothing is sent while it cannot be noted: %w", err)
	}
	if mark == nil || mark.Identity != identity {
		return highwater.Mark{}, s.forget()
	}
	if *mark == s.watch.compared() {
		return *mark, nil // raised by this process
	}
	known, err := s.DB.Restores.Knows(ctx, *mark)
	if err != nil {
		return highwater.Mark{}, err
	}
	if !known {
		return highwater.Mark{}, s.forget()
	}
	s.watch.raised(*mark)
	return *mark, nil
}

// isHere reports whether a place is that of the database that was compared with the mark.
func (s *Service) isHere(place string) bool {
	identity := s.watch.compared().Identity
	return identity != "" && (place == "" || strings.HasSuffix(identity, "/"+place))
}

// forget has the database compared with its mark before the next call.
func (s *Service) forget() error {
	s.watch.setCompared(highwater.Mark{})
	return errRestored
}
