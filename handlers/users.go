package handlers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/mail"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"socialqueue/models"
	"socialqueue/tenants"
	"socialqueue/view"
)

// Limits of the users table, in characters.
const (
	maxExternalID = 255
	maxEmail      = 320
)

type userRequest struct {
	externalID string
	email      string
}

func (u *userRequest) fields() fields {
	return fields{"external_id": &u.externalID, "email": upTo(maxEmail, &u.email)}
}

func (u *userRequest) check() error {
	var errs models.FieldErrors
	if n := utf8.RuneCountInString(u.externalID); n < 1 || n > maxExternalID {
		errs.Add("external_id", "is required: your own id for the user, 1 to %d characters", maxExternalID)
	}
	if u.email != "" && !isAddress(u.email) {
		errs.Add("email", "is not an email address of at most %d characters", maxEmail)
	}
	return errs.Err()
}

func isAddress(s string) bool {
	addr, err := mail.ParseAddress(s)
	return err == nil && addr.Address == s && utf8.RuneCountInString(s) <= maxEmail
}

type userView struct {
	ID         int64   `json:"id"`
	ExternalID string  `json:"external_id"`
	Email      *string `json:"email"`
	CreatedAt  string  `json:"created_at"`
}

func (a *api) createUser(c echo.Context) error {
	body, err := a.readJSON(c)
	if err != nil {
		return err
	}
	var in userRequest
	if err := in.fields().decode(body); err != nil {
		return err
	}
	if err := in.check(); err != nil {
		return err
	}
	return a.once(c, jsonContent(body), func(cl *tenants.Claim) (*answer, error) { return a.ensureUser(c, &in, cl) })
}

// ensureUser completes its idempotency key afterwards: after a crash in between, the retry
// finds the user by its external id.
func (a *api) ensureUser(c echo.Context, in *userRequest, cl *tenants.Claim) (*answer, error) {
	ctx := c.Request().Context()
	user, created, err := a.Tenants.EnsureUser(ctx, callerOf(c).AppID, in.externalID, in.email)
	if err != nil {
		return nil, err
	}
	ans := &answer{status: http.StatusOK}
	if created {
		ans.status = http.StatusCreated
	}
	shown := userView{ID: user.ID, ExternalID: user.ExternalID, Email: user.Email, CreatedAt: view.Time(user.CreatedAt)}
	if ans.body, err = json.Marshal(shown); err != nil {
		return nil, fmt.Errorf("show user: %w", err)
	}
	if cl != nil {
		if err := a.Tenants.Complete(ctx, completion(cl, ans, "")); err != nil {
			return nil, err
		}
	}
	return ans, nil
}
