package publish_test

import (
	"testing"

	"socialqueue/models"
	"socialqueue/publish"
)

func TestStatusOfGroup(t *testing.T) {
	for _, tc := range []struct {
		posts []models.Status
		want  publish.GroupStatus
	}{
		{[]models.Status{models.Scheduled}, publish.GroupPending},
		{[]models.Status{models.Published, models.Processing}, publish.GroupPending},
		{[]models.Status{models.Uncertain, models.Queued}, publish.GroupPending},
		{[]models.Status{models.Uncertain, models.Published, models.Failed}, publish.GroupUncertain},
		{[]models.Status{models.Published, models.Delivered}, publish.GroupPublished},
		{[]models.Status{models.Failed, models.Missed}, publish.GroupFailed},
		{[]models.Status{models.Canceled, models.Canceled}, publish.GroupCanceled},
		{[]models.Status{models.Canceled, models.Failed}, publish.GroupPartial},
		{[]models.Status{models.Published, models.Failed}, publish.GroupPartial},
	} {
		var posts []*models.Post
		for _, status := range tc.posts {
			posts = append(posts, &models.Post{Status: status})
		}
		if got := publish.StatusOfGroup(posts); got != tc.want {
			t.Errorf("%v: %s, want %s", tc.posts, got, tc.want)
		}
	}
}
