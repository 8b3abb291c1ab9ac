package console

import (
	"fmt"
	"html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"socialqueue/models"
)

var functions = template.FuncMap{
	"ago": ago, "at": at, "clock": clock, "span": span, "bytes": byteSize, "ms": milliseconds,
	"statusText": statusText, "reasonText": reasonText, "deref": deref, "filter": filterPath,
	"sum": func(a, b int64) int64 { return a + b }, "postPath": postPath, "accountPath": accountPath, "seconds": time.Duration.Seconds,
	"has": strings.Contains, "isLink": isLink, "rowsView": viewOfRows, "pauseView": viewOfPause, "releaseView": viewOfRelease, "retryable": retryable,
	"admissionText": admissionText, "heldText": heldText, "restoreText": restoreText,
}

// rowsView and pauseView are the data of the templates that several pages share.
type rowsView struct {
	Now  time.Time
	Rows []postRow
}

func viewOfRows(now time.Time, rows []postRow) rowsView { return rowsView{now, rows} }

// releaseView is the data of the form that releases a held post. Back is the page to return
// to; empty means the post's own.
type releaseView struct{ ID, Back string }

func viewOfRelease(id, back string) releaseView { return releaseView{id, back} }

type pauseView struct{ Root, Scope, Name string }

func viewOfPause(scope any, name string) pauseView { return pauseView{Root, fmt.Sprint(scope), name} }

// retryable returns the posts that can be retried.
func retryable(rows []postRow) []postRow {
	return slices.DeleteFunc(slices.Clone(rows), func(r postRow) bool { return !r.Retryable })
}

// at formats a time with its date, in UTC.
func at(t any) string {
	when, ok := timeOf(t)
	if !ok {
		return "–"
	}
	return when.UTC().Format("2006-01-02 15:04:05 UTC")
}

// clock formats the time of day, to the millisecond.
func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// ago formats a time relative to now.
func ago(t any, now time.Time) string {
	when, ok := timeOf(t)
	switch {
	case !ok:
		return "–"
	case when.After(now):
		return "in " + span(when.Sub(now))
	}
	return span(now.Sub(when)) + " ago"
}

func timeOf(t any) (time.Time, bool) {
	switch t := t.(type) {
	case time.Time:
		return t, true
	case *time.Time:
		if t != nil {
			return *t, true
		}
	case *string:
		if t != nil {
			return timeOf(*t)
		}
	case string:
		when, err := time.Parse(time.RFC3339Nano, t)
		return when, err == nil
	}
	return time.Time{}, false
}

const day = 24 * time.Hour

// span formats a duration in its two largest units.
func span(d time.Duration) string {
	switch {
	case d <= 0:
		return "0s"
	case d < time.Second:
		return "under 1s"
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm %ds", d/time.Minute, d%time.Minute/time.Second)
	case d < 2*day:
		return fmt.Sprintf("%dh %dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd %dh", d/day, d%day/time.Hour)
}

// byteSize formats a number of bytes in decimal units.
func byteSize(n int64) string {
	switch {
	case n < 1_000_000:
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	case n < 1_000_000_000:
		return fmt.Sprintf("%.1f MB", float64(n)/1e6)
	}
	return fmt.Sprintf("%.2f GB", float64(n)/1e9)
}

func milliseconds(ms int64) string { return strconv.FormatInt(ms, 10) + " ms" }

// statusText describes a state.
func statusText(s models.Status) string {
	return map[models.Status]string{
		models.Scheduled: "waiting for its publish time", models.Queued: "waiting to be sent", models.Publishing: "being sent",
		models.Processing: "being processed by the platform", models.Published: "live", models.Delivered: "in the creator's inbox",
		models.Uncertain: "sent; it is unknown whether it is live", models.Failed: "will not go live", models.Canceled: "will not be sent",
		models.Missed: "could not start in time",
	}[s]
}

// admissionText says where a post waits for its next run.
func admissionText(a models.Admission) string {
	return map[models.Admission]string{
		models.AdmissionWaiting: "waiting for its time, or for its turn while the workers are busy", models.AdmissionParked: "waiting for its account's lane or for the end of a pause",
		models.AdmissionAdmitted: "in a queue or running", models.AdmissionHeld: "held until you release it",
	}[a]
}

// reasonText describes a deferral reason.
func reasonText(reason string) string {
	text := map[string]string{
		models.DeferredLane: "earlier posts of the account go first", models.DeferredApp: "the workers are busy, and it is not yet its turn", models.DeferredRateLimit: "the rate limit of the platform is reached",
		models.DeferredDailyCap: "the daily limit of the account is reached", models.DeferredPendingCap: "too many drafts wait in the creator's inbox",
		models.DeferredRestricted: "the platform restricts the account for a while", models.DeferredRetry: "the last attempt failed; it will be retried",
		models.DeferredReauthorize: "the account has to be connected again", models.DeferredToken: "the token could not be refreshed yet",
		models.DeferredInternal: "an internal error occurred; it will be retried", models.DeferredPaused: "paused by an operator",
		models.DeferredDown:     "the platform does not take such calls at the moment",
		models.DeferredRestored: "the database was restored from a backup, so the post may be live already",
	}[reason]
	if text == "" {
		return reason
	}
	return text
}

// heldText says why a post is held.
func heldText(reason models.HeldReason) string {
	return map[models.HeldReason]string{
		models.HeldDue:          "A search of the account did not find the post, but its time had passed before the restore was found: it may have been live and deleted since, or come too late.",
		models.HeldUnsearchable: "No search can show whether the post is live.",
		models.HeldMatch:        "A post like it went live, which the restored database does not know of: the app may have sent it a second time.",
	}[reason]
}

// restoreText says how a restored database was noticed.
func restoreText(reason models.RestoreReason) string {
	return map[models.RestoreReason]string{
		models.RestoreBehind:   "Calls were made that the database does not know of.",
		models.RestoreMoved:    "It is another database than before, and nothing shows that it lacks no calls.",
		models.RestoreOperator: "An operator recorded it.",
	}[reason]
}

// isLink reports whether an address is safe to link to. It comes from the platform, so it
// could have any scheme.
func isLink(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// filterPath returns the path of a list with a filter. pairs are names and values in turn.
func filterPath(list string, pairs ...any) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(fmt.Sprint(pairs[i]), fmt.Sprint(pairs[i+1]))
	}
	return Root + "/" + list + "?" + q.Encode()
}
