package handlers

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/sirupsen/logrus"

	"socialqueue/observe"
)

// operatorAction is what an operator does, and to which tasks or posts.
type operatorAction struct {
	user string
	ids  []string
}

const (
	actionKey = "operator_action"
	// maxIDs limits the ids in one log line, and maxIDBytes the length of each.
	maxIDs     = 100
	maxIDBytes = 128
)

// logOperatorAction logs what an operator did, once the result is known.
func (a *api) logOperatorAction(c echo.Context, took time.Duration) {
	did, ok := c.Get(actionKey).(operatorAction)
	if !ok {
		return
	}
	entry := a.logOf(c).WithFields(logrus.Fields{
		observe.FieldAction: observe.ActionOperator, observe.FieldDuration: took, "user": did.user, "remote": c.RealIP(),
		"method": c.Request().Method, "path": c.Request().URL.Path, "status": c.Response().Status,
	})
	if n := len(did.ids); n > 0 {
		entry = entry.WithFields(logrus.Fields{"ids": bounded(did.ids), "ids_count": n})
	}
	entry.Warn("operator action")
}

func bounded(ids []string) []string {
	var shown []string
	for _, id := range ids[:min(len(ids), maxIDs)] {
		shown = append(shown, id[:min(len(id), maxIDBytes)])
	}
	return shown
}

// namedIn returns the ids of the tasks or posts in a request's body, as the queues' page
// and the console send them. The body can be read again afterwards.
func namedIn(r *http.Request) []string {
	head, _ := io.ReadAll(io.LimitReader(r.Body, maxJSON)) // the handler that reads the rest gets the error
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), r.Body), r.Body}
	var batch struct {
		TaskIDs []string `json:"task_ids"`
	}
	if json.NewDecoder(bytes.NewReader(head)).Decode(&batch) == nil {
		return batch.TaskIDs
	}
	form, _ := url.ParseQuery(string(head)) // other bodies hold no ids
	return form["id"]
}
