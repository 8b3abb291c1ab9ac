package jobs

import (
	"fmt"
	"testing"
)

// All orphans of a long list are mended in one go, although the list grows shorter under
// the look; a task that is whole stays.
func TestManyOrphans(t *testing.T) {
	client := newClient(t)
	q := NewQueue(client)
	task := aTask()
	if err := q.Enqueue(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	key := queueKey(queueOf(task), "pending")
	const lost = 2*orphanPage + 7
	ids := make([]any, lost)
	for i := range ids {
		ids[i] = fmt.Sprint("lost-", i)
	}
	if err := client.LPush(t.Context(), key, ids...).Err(); err != nil {
		t.Fatal(err)
	}
	for _, fix := range []bool{false, true} {
		found, err := q.Orphans(t.Context(), false, fix)
		if err != nil || len(found) != lost {
			t.Fatalf("fix %v: %d found, want %d: %v", fix, len(found), lost, err)
		}
	}
	left, err := client.LRange(t.Context(), key, 0, -1).Result()
	if err != nil || len(left) != 1 || left[0] != taskID(task) {
		t.Errorf("left in the list: %d ids, %v", len(left), err)
	}
	if again, err := q.Orphans(t.Context(), false, false); err != nil || len(again) != 0 {
		t.Errorf("found again: %v, %v", again, err)
	}
}
