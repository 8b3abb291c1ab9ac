package publish

import (
	"context"
	"errors"
	"fmt"

	"socialqueue/db"
	"socialqueue/models"
)

// maxGroup is how many posts of a group are read. A request makes far fewer.
const maxGroup = 1000

// Group reads the posts of a group of an app, in the order of the request. It returns
// db.ErrNotFound if there are none.
func (s *Service) Group(ctx context.Context, appID int64, groupID string) ([]*models.Post, error) {
	found, err := s.DB.Posts.List(ctx, Filter{AppID: appID, GroupID: groupID, Limit: maxGroup})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("group %s: %w", groupID, db.ErrNotFound)
	}
	posts := make([]*models.Post, len(found))
	for i := range found { // they are listed newest first
		posts[len(found)-1-i] = &found[i]
	}
	return posts, nil
}

// CancelGroup cancels those posts of a group whose sending has not begun, and returns all of
// them. It returns db.ErrNotFound if there are none.
func (s *Service) CancelGroup(ctx context.Context, appID int64, groupID string) ([]*models.Post, error) {
	posts, err := s.Group(ctx, appID, groupID)
	if err != nil {
		return nil, err
	}
	for _, p := range posts {
		if _, err := s.Cancel(ctx, appID, p.ID); err != nil && !errors.Is(err, ErrConflict) {
			return nil, err
		}
	}
	return s.Group(ctx, appID, groupID)
}

// GroupStatus is what a group of posts has come to.
type GroupStatus string

// The states of a group.
const (
	// GroupPending: a post is under way.
	GroupPending GroupStatus = "pending"
	// GroupUncertain: none is under way, and of one nobody knows whether it is live.
	GroupUncertain GroupStatus = "uncertain"
	// GroupPublished, GroupFailed and GroupCanceled: all are. A delivered post counts as
	// published, a missed one as failed.
	GroupPublished GroupStatus = "published"
	GroupFailed    GroupStatus = "failed"
	GroupCanceled  GroupStatus = "canceled"
	// GroupPartial: all have ended, and differently.
	GroupPartial GroupStatus = "partial"
)

// groupStatuses say what an ended post counts as.
var groupStatuses = map[models.Status]GroupStatus{
	models.Uncertain: GroupUncertain, models.Published: GroupPublished, models.Delivered: GroupPublished,
	models.Failed: GroupFailed, models.Missed: GroupFailed, models.Canceled: GroupCanceled,
}

// StatusOfGroup derives the state of a group from its posts, of which there is at least one.
func StatusOfGroup(posts []*models.Post) GroupStatus {
	counts := map[GroupStatus]int{}
	for _, p := range posts {
		status, ended := groupStatuses[p.Status]
		if !ended {
			return GroupPending
		}
		counts[status]++
	}
	if counts[GroupUncertain] > 0 {
		return GroupUncertain
	}
	for status, n := range counts {
		if n == len(posts) {
			return status
		}
	}
	return GroupPartial
}
