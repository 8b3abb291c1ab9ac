package jobs

import (
	"testing"

	"socialqueue/observe"
)

// Orphans are counted until they are repaired.
func TestOrphansShow(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	if err := client.LPush(t.Context(), queueKey(QueueUpload, "active"), "lost").Err(); err != nil {
		t.Fatal(err)
	}
	// A task that a worker handed back runs, though it has no pending_since.
	if err := client.HSet(t.Context(), queueKey(QueuePublish, "t:handed-back"), "state", "pending").Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.LPush(t.Context(), queueKey(QueuePublish, "pending"), "handed-back").Err(); err != nil {
		t.Fatal(err)
	}
	orphaned := func() float64 { return gaugeOf(t, q.Gauges, "tasks_orphaned", QueueUpload) }
	if n := orphaned(); n != 1 {
		t.Errorf("%v are orphaned, want 1", n)
	}
	if n := gaugeOf(t, q.Gauges, "tasks_orphaned", QueuePublish); n != 0 {
		t.Errorf("%v are orphaned in a queue that is well", n)
	}
	if _, err := q.Repair(t.Context(), "here"); err != nil {
		t.Fatal(err)
	}
	if n := orphaned(); n != 0 {
		t.Errorf("%v are orphaned after the repair", n)
	}
}

// Redis' own numbers are those of INFO.
func TestRedisGauges(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client, testKinds())
	if used := gaugeOf(t, q.RedisGauges, "redis_memory_bytes", "redis"); used < 1<<16 {
		t.Errorf("Redis uses %v bytes", used)
	}
	for name, label := range map[string]string{"redis_memory_max_bytes": "redis", "redis_evicted_keys": "redis", "redis_persistence_failed": "redis", "redis_replicas": ""} {
		if n := gaugeOf(t, q.RedisGauges, name, label); n != 0 {
			t.Errorf("%s of a Redis that is well is %v", name, n)
		}
	}
}

// gaugeOf finds a gauge by its name and the value of its only label.
func gaugeOf(t *testing.T, ask observe.Source, name, label string) float64 {
	t.Helper()
	gauges, err := ask(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range gauges {
		if g.Name == name && (len(g.Labels) == 0 || g.Labels[1] == label) {
			return g.Value
		}
	}
	t.Fatalf("there is no %s of %s", name, label)
	return 0
}
