package oauth

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"socialqueue/models"
	"socialqueue/view"
)

// Issue is something that keeps an account from posting, or soon will, or that it cannot do.
type Issue struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// Remedy says who has to do what.
	Remedy string `json:"remedy"`
}

// The codes of issues.
const (
	// IssueReauthorize and IssueDisconnected: nothing is sent until the account is connected
	// again.
	IssueReauthorize  = "reauth_required"
	IssueDisconnected = "disconnected"
	// IssueReconnectSoon: the consent ends within reconnectSoon.
	IssueReconnectSoon = "reconnect_soon"
	// IssuePermission: the account was connected without a permission.
	IssuePermission = "permission_missing"
	// IssuePaused: an operator keeps back what would be sent.
	IssuePaused = "paused"
)

// reconnectSoon is how long before the end of a consent its owner should be asked.
const reconnectSoon = 14 * 24 * time.Hour

const remedyReconnect = "have its owner connect the account again"

// Health returns an account of an app with what is wrong with it; nothing if it is well. It
// asks no platform. It returns models.ErrNotFound if the app has no such account.
func (s *Service) Health(ctx context.Context, appID int64, p models.Platform, id int64) (*Account, []Issue, error) {
	a, err := s.DB.Accounts.Get(ctx, appID, p, id)
	if err != nil {
		return nil, nil, err
	}
	pauses, err := s.DB.Admission.Pauses(ctx)
	if err != nil {
		return nil, nil, err
	}
	issues := s.issuesOf(a)
	if pause := pauses.Of(models.Lane(p, id)); pause != nil {
		issues = append(issues, Issue{IssuePaused, pause.String(), "wait, or ask the operator; posts go on by themselves"})
	}
	return a, issues, nil
}

func (s *Service) issuesOf(a *Account) []Issue {
	issues := []Issue{}
	shown := view.OfAccount(&a.OAuth, a.Instagram)
	reason := ""
	if shown.StatusReason != nil {
		reason = ": " + *shown.StatusReason
	}
	switch shown.Status {
	case models.AccountReauthorize:
		return append(issues, Issue{IssueReauthorize, "the platform no longer accepts the account's token" + reason, remedyReconnect + "; its posts wait until then"})
	case models.AccountDisconnected:
		return append(issues, Issue{IssueDisconnected, "the account is disconnected" + reason, remedyReconnect})
	}
	if by := a.OAuth.ReconnectBy; by != nil && by.Before(s.Now().Add(reconnectSoon)) {
		issues = append(issues, Issue{IssueReconnectSoon, "the consent ends at " + view.Time(*by), remedyReconnect + " before that"})
	}
	if len(shown.Scopes) == 0 { // imported: nobody knows what was granted
		return issues
	}
	for _, extra := range s.traits(a.Platform).Optional {
		if !slices.Contains(shown.Scopes, extra.Scope) {
			issues = append(issues, Issue{
				IssuePermission, fmt.Sprintf("the account was connected without %s, which is needed for %s", extra.Scope, strings.Join(extra.For, " and ")),
				remedyReconnect + " and allow it",
			})
		}
	}
	return issues
}
