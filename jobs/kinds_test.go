package jobs

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"socialqueue/models"
	"socialqueue/publish"
)

// checkPayload fails unless the fields of a payload are the version and those that
// operators may see, which are ids.
func checkPayload[A any](t *testing.T, k kind[A]) {
	t.Helper()
	var args A
	task, err := newTask(k.name, args, envelope{})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(task.Payload(), &fields); err != nil {
		t.Fatal(err)
	}
	for name := range fields {
		if name != "v" && !slices.Contains(k.shown, name) {
			t.Errorf("%s: the payload holds %q, which operators may not see", k.name, name)
		}
	}
	for _, name := range k.shown {
		if _, held := fields[name]; !held {
			t.Errorf("%s: the payload has no field %q", k.name, name)
		}
	}
	if fields["v"] != float64(payloadVersion) {
		t.Errorf("%s: version %v", k.name, fields["v"])
	}
	for i := range reflect.TypeFor[A]().NumField() {
		if tag := reflect.TypeFor[A]().Field(i).Tag.Get("json"); tag == "" || strings.Contains(tag, ",") {
			t.Errorf("%s: field %s has no plain name in JSON", k.name, reflect.TypeFor[A]().Field(i).Name)
		}
	}
	if err := k.check(args); err == nil {
		t.Errorf("%s: a payload that names nothing passes", k.name)
	}
}

// TestPayloadIsIDs checks that payloads are small and contain only ids.
func TestPayloadIsIDs(t *testing.T) {
	checkPayload(t, postKind("tiktok:publish"))
	checkPayload(t, tokenRefresh)
	checkPayload(t, webhookProcess)
	checkPayload(t, notifyDeliver)
	checkPayload(t, mediaFetch)
	checkPayload(t, postComment)
	if n := len(kindsOfTasks); n != 5 {
		t.Errorf("%d kinds are in the table, and 5 are checked here", n)
	}
	if _, err := newTask("big", postArgs{PostID: strings.Repeat("x", maxPayload)}, envelope{}); err == nil {
		t.Error("a payload over the limit was encoded")
	}
}

// TestThirdPlatform checks that the posts of another platform get task types from its name
// alone, and that an unregistered platform is refused.
func TestThirdPlatform(t *testing.T) {
	const toy = models.Platform("toy")
	client := newClient(t)
	kinds := NewKinds(PostTypesOf(toy))
	q := NewQueue(client, kinds)
	seen := make(chan publish.Task, 1)
	w := NewWorker(client, kinds, Work{Posts: runnerFunc(func(_ context.Context, task publish.Task, _ <-chan struct{}) error {
		seen <- task
		return nil
	})}, quiet(), WorkerOptions{Concurrency: 1, UploadConcurrency: 1, ShutdownTimeout: 5 * time.Second})
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Stop)
	for step, want := range map[models.Step]string{models.StepTransfer: "toy:upload", models.StepPublish: "toy:publish"} {
		task := aTask()
		task.Platform, task.Step = toy, step
		if k, _, err := kinds.ofPost(task); err != nil || k.name != want {
			t.Errorf("%s: task type %q, %v; want %q", step, k.name, err, want)
		}
		if err := q.Enqueue(t.Context(), task); err != nil {
			t.Fatal(err)
		}
		select {
		case ran := <-seen:
			if ran.PostID != task.PostID {
				t.Errorf("%s: post %s ran, want %s", step, ran.PostID, task.PostID)
			}
		case <-time.After(patience):
			t.Fatalf("%s: the task did not run", step)
		}
	}
	if err := q.Enqueue(t.Context(), aTask()); err == nil {
		t.Error("a task of a platform that is not registered was enqueued")
	}
	if _, err := q.State(t.Context(), aTask()); err == nil {
		t.Error("a task of a platform that is not registered has a state")
	}
}

// TestMistakesInTheTable checks that a table that would lose tasks is refused.
func TestMistakesInTheTable(t *testing.T) {
	for name, build := range map[string]func(){
		"a platform twice":      func() { NewKinds(PostTypesOf("toy"), PostTypesOf("toy")) },
		"a name twice":          func() { NewKinds(PostTypes{Platform: "toy", Transfer: "token:refresh", Publish: "toy:publish"}) },
		"a queue nobody serves": func() { NewKinds().add(registration{name: "toy:count", queue: "toys"}) },
		"a post without a type": func() { NewKinds(PostTypes{Platform: "toy", Publish: "toy:publish"}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it was accepted")
				}
			}()
			build()
		})
	}
}
