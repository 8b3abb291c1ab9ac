package models_test

import (
	"testing"
	"time"

	"socialqueue/models"
)

// TestParseLane accepts any platform name: only the registry knows which ones exist.
func TestParseLane(t *testing.T) {
	for lane, want := range map[string]bool{
		"tiktok:3": true, "instagram:2147483647": true, "tiktok": false, "tiktok:": false, "tiktok:0": false, "tiktok:-1": false, "tiktok:x": false,
		"facebook:1": true, ":1": false, "tiktok:2147483648": false, "tiktok:1:2": false, "": false,
	} {
		p, id, ok := models.ParseLane(lane)
		if ok != want || (ok && models.Lane(p, id) != lane) {
			t.Errorf("%q: %s %d %v, want %v", lane, p, id, ok, want)
		}
	}
}

// TestFirstIDAt checks that the first id of a time sorts between the ids made before and
// after that time.
func TestFirstIDAt(t *testing.T) {
	before := time.Now().Truncate(time.Millisecond)
	id := models.NewID()
	if first := models.FirstIDAt(before); first > id {
		t.Errorf("%s is after %s, which was made later", first, id)
	}
	if first := models.FirstIDAt(time.Now().Add(2 * time.Millisecond)); first < id {
		t.Errorf("%s is before %s, which was made earlier", first, id)
	}
}
