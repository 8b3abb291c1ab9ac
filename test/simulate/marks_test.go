package simulate

import (
	"context"
	"errors"
	"sync"

	"socialqueue/highwater"
)

// marks takes the place of the high-water mark in Redis.
type marks struct {
	h *history

	mu   sync.Mutex
	mark *highwater.Mark
}

// use passes the gate of one use of the mark. answer is false where the use has its effect and no answer comes back.
func (m *marks) use(ctx context.Context, what string) (answer bool, err error) {
	a := m.h.actorOf(ctx)
	if err := m.h.pass(ctx, a, what, false); err != nil {
		return false, err
	}
	if m.h.happens(a, "dies before "+what, m.h.rates.die) {
		m.h.kill(a, "before "+what)
		return false, m.h.die(a)
	}
	if m.h.happens(a, "fails: "+what, m.h.rates.queue) {
		return false, errAway
	}
	return !m.h.happens(a, "gets no answer: "+what, m.h.rates.queue), nil
}

func (m *marks) Read(ctx context.Context) (*highwater.Mark, error) {
	if answer, err := m.use(ctx, "read the mark"); err != nil || !answer {
		return nil, errors.Join(err, errAway)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mark == nil {
		return nil, nil //nolint:nilnil // there is no mark
	}
	mark := *m.mark
	return &mark, nil
}

func (m *marks) Replace(ctx context.Context, old *highwater.Mark, by highwater.Mark) (bool, error) {
	answer, err := m.use(ctx, "replace the mark")
	if err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	replaced := m.mark == old || m.mark != nil && old != nil && *m.mark == *old
	if replaced {
		m.mark = &by
	}
	if !answer {
		return false, errAway
	}
	return replaced, nil
}
