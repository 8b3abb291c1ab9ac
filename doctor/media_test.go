package doctor

import (
	"strings"
	"testing"
	"time"

	"socialqueue/jobs/redistest"
	"socialqueue/media"
)

// TestMediaWhileTheStorageHangs has a storage that takes connections and never answers.
func TestMediaWhileTheStorageHangs(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "key")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	store, err := media.OpenStore(t.Context(), "s3://bucket?region=us-east-1&use_path_style=true&endpoint=http://"+redistest.Silent(t), 1)
	if err != nil {
		t.Fatal(err)
	}
	d, began := &doctor{Deps: Deps{Store: store}}, time.Now()
	d.run(t.Context(), check{name: "media", run: d.media})
	if took := time.Since(began); took > storageTime+time.Second {
		t.Errorf("it took %s", took)
	}
	if len(d.found) != 1 || d.found[0].Level != Bad || !strings.Contains(d.found[0].What, "the storage did not answer") {
		t.Errorf("findings %+v", d.found)
	}
}
