package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"socialqueue/models"
	"socialqueue/publish"
	"socialqueue/view"
)

// groupStateView is the response of GET and DELETE /api/groups/{id}.
type groupStateView struct {
	ID     string              `json:"id"`
	Status publish.GroupStatus `json:"status"`
	Posts  []view.Post         `json:"posts"`
}

func (a *api) getGroup(c echo.Context) error {
	id, ok := canonicalID(c.Param("id"))
	if !ok {
		return notFound("group")
	}
	posts, err := a.Posts.Group(c.Request().Context(), callerOf(c).AppID, id)
	if err != nil {
		return err
	}
	return a.answerGroup(c, id, posts)
}

// cancelGroup cancels what can be canceled. The answer shows what could not be.
func (a *api) cancelGroup(c echo.Context) error {
	id, ok := canonicalID(c.Param("id"))
	if !ok {
		return notFound("group")
	}
	posts, err := a.Posts.CancelGroup(c.Request().Context(), callerOf(c).AppID, id)
	if err != nil {
		return err
	}
	return a.answerGroup(c, id, posts)
}

func (a *api) answerGroup(c echo.Context, id string, posts []*models.Post) error {
	shown, err := a.showPosts(c.Request().Context(), posts)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, groupStateView{ID: id, Status: publish.StatusOfGroup(posts), Posts: shown})
}
