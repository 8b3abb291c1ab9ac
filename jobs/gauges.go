package jobs

import (
	"context"
	"fmt"

	"socialqueue/observe"
)

// Gauges returns, for each queue, the number of tasks by state, whether it is paused,
// the longest wait, the orphans, and the workers that serve it.
func (q *Queue) Gauges(ctx context.Context) ([]observe.Gauge, error) {
	var gauges []observe.Gauge
	for _, name := range Queues {
		more, err := q.gaugesOf(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read queue %s: %w", name, err)
		}
		gauges = append(gauges, more...)
	}
	orphaned, err := q.orphaned(ctx)
	if err != nil {
		return nil, err
	}
	gauges = append(gauges, orphaned...)
	serving, _, err := q.serving()
	if err != nil {
		return nil, err
	}
	for _, name := range Queues {
		gauges = append(gauges, observe.Gauge{
			Name: "queue_workers", Help: "Worker processes that serve a queue.", Labels: []string{"queue", name}, Value: float64(serving[name]),
		})
	}
	return gauges, nil
}

// orphaned counts the current orphans. Those that the scheduler's repair found are repaired
// already.
func (q *Queue) orphaned(ctx context.Context) ([]observe.Gauge, error) {
	gauges := make([]observe.Gauge, len(Queues))
	for i, name := range Queues {
		orphans, err := q.orphansOf(ctx, name, stateActive, orphanScan, false)
		if err != nil {
			return nil, fmt.Errorf("find orphans in queue %s: %w", name, err)
		}
		gauges[i] = observe.Gauge{
			Name: "tasks_orphaned", Help: "Active tasks that no worker runs and that Asynq does not take back, until the next repair.", Labels: []string{"queue", name}, Value: float64(len(orphans)),
		}
	}
	return gauges, nil
}

// nextTasks is how many of the next tasks the longest wait is read from. It is more than a
// worker hands back when it stops.
const nextTasks = 100

func (q *Queue) gaugesOf(ctx context.Context, queue string) ([]observe.Gauge, error) {
	size, err := q.keys.size(ctx, queue, nextTasks)
	if err != nil {
		return nil, err
	}
	gauges := make([]observe.Gauge, 0, len(asynqStates)+2)
	for i, s := range asynqStates {
		gauges = append(gauges, observe.Gauge{
			Name: "queue_tasks", Help: "Tasks in Asynq.", Labels: []string{"queue", queue, "state", s.name}, Value: float64(size.tasks[i]),
		})
	}
	paused := 0.0
	if size.paused {
		paused = 1
	}
	wait, err := q.keys.longestWait(ctx, queue, size.next)
	return append(gauges,
		observe.Gauge{Name: "queue_paused", Help: "Whether a queue is paused.", Labels: []string{"queue", queue}, Value: paused},
		observe.Gauge{
			Name: "queue_oldest_pending_age_seconds", Help: "Longest wait among the next tasks of a queue.", Labels: []string{"queue", queue}, Value: wait.Seconds(),
		}), err
}
