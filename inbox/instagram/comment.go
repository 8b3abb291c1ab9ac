package instagram

import (
	"context"

	"socialqueue/inbox"
	"socialqueue/models"
	"socialqueue/platform/instagram"
)

func (s *Source) comment(ctx context.Context, account *models.InstagramAccount, e *models.WebhookEvent, n instagram.Notice) (inbox.Outcome, error) {
	c, ok := n.Comment()
	if !ok || len(c.ID) > maxID || len(c.MediaID) > maxID || len(c.ParentID) > maxID {
		return inbox.Unknown("the notification has no comment id"), nil
	}
	now := s.Now()
	stored, err := s.DB.Inbox.ReceiveComment(ctx, account, &models.InstagramComment{
		InstagramAccountID: account.ID, IGCommentID: c.ID, IGMediaID: textOrNil(c.MediaID), ParentID: textOrNil(c.ParentID),
		FromID: models.Cut(c.FromID, maxPerson), Username: models.Cut(c.Username, maxPerson), Text: c.Text, Own: c.Own,
		Timestamp: models.TimeOrNil(n.At), CreatedAt: now,
	}, e.CorrelationID, now)
	switch {
	case err != nil:
		return inbox.Outcome{}, err
	case !stored:
		return inbox.Processed("the comment was stored before"), nil
	case c.Own:
		return inbox.Processed("the comment is stored; the account wrote it itself, so the app gets no event"), nil
	}
	return inbox.Processed("the comment is stored"), nil
}

// maxPerson is the size of the columns for a person's id and name, in characters.
const maxPerson = 255

func textOrNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
