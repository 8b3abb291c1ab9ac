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

// deed is what an operator does: who, and to which tasks or posts.
type deed struct {
	user string
	ids  []string
}

const (
	deedKey = "deed"
	// maxIDs bounds the ids in one line of the log, maxIDBytes each of them.
	maxIDs     = 100
	maxIDBytes = 128
)

// logDeed leaves a line of what an operator did, once it is known how it ended.
func (a *api) logDeed(c echo.Context, took time.Duration) {
	did, ok := c.Get(deedKey).(deed)
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
	entry.Warn("an operator did something")
}

func bounded(ids []string) []string {
	var shown []string
	for _, id := range ids[:min(len(ids), maxIDs)] {
		shown = append(shown, id[:min(len(id), maxIDBytes)])
	}
	return shown
}

// namedIn reads which tasks or posts the body of a request names, as the page of the
// queues and the console send them, and leaves the body to be read again.
func namedIn(r *http.Request) []string {
	head, _ := io.ReadAll(io.LimitReader(r.Body, maxJSON)) // whoever reads on meets the error
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
	form, _ := url.ParseQuery(string(head)) // what is no form names nothing
	return form["id"]
}
