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
	"statusWord": statusWord, "reasonWords": reasonWords, "deref": deref, "filter": filterPath,
	"sum": func(a, b int64) int64 { return a + b }, "postPath": postPath, "accountPath": accountPath, "seconds": time.Duration.Seconds,
	"has": strings.Contains, "isLink": isLink, "slot": slot, "pauseOf": pauseOf, "again": again,
}

// rowsShown and pauseShown are what the shared parts of pages show.
type rowsShown struct {
	Now  time.Time
	Rows []postRow
}

func slot(now time.Time, rows []postRow) rowsShown { return rowsShown{now, rows} }

type pauseShown struct{ Root, Scope, Name string }

func pauseOf(scope any, name string) pauseShown { return pauseShown{Root, fmt.Sprint(scope), name} }

// again are the posts that may be run again.
func again(rows []postRow) []postRow {
	return slices.DeleteFunc(slices.Clone(rows), func(r postRow) bool { return !r.Again })
}

// at shows a time whole, in UTC.
func at(t any) string {
	when, ok := timeOf(t)
	if !ok {
		return "–"
	}
	return when.UTC().Format("2006-01-02 15:04:05 UTC")
}

// clock shows a time of a timeline, to the millisecond.
func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// ago shows how long a time is past, or ahead, in words.
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

// span shows a duration by its two largest units.
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

// byteSize shows bytes in decimal units.
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

// statusWord says what a state means, for its title.
func statusWord(s models.Status) string {
	return map[models.Status]string{
		models.Scheduled: "waits for its time", models.Queued: "waits for its turn", models.Publishing: "a worker has it",
		models.Processing: "the platform works on it", models.Published: "live", models.Delivered: "in the creator's inbox",
		models.Uncertain: "sent; it is not known whether it is live", models.Failed: "will not go live", models.Canceled: "withdrawn",
		models.Missed: "could not begin in time",
	}[s]
}

// reasonWords say why a post waits.
func reasonWords(reason string) string {
	words := map[string]string{
		models.DeferredLane: "earlier posts of the account go first", models.DeferredRateLimit: "the platform takes no more calls for now",
		models.DeferredDailyCap: "the posts of the day are used up", models.DeferredRetry: "the last try failed; it is tried again",
		models.DeferredReauthorize: "the account has to be connected again", models.DeferredToken: "the token could not be refreshed yet",
		models.DeferredInternal: "something of ours failed; it is tried again", models.DeferredPaused: "an operator's pause keeps it back",
	}[reason]
	if words == "" {
		return reason
	}
	return words
}

// isLink reports whether an address may be linked to: what a platform sends may be
// anything.
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

// filterPath is a list's address with a filter: names and values in turn.
func filterPath(list string, pairs ...any) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(fmt.Sprint(pairs[i]), fmt.Sprint(pairs[i+1]))
	}
	return Root + "/" + list + "?" + q.Encode()
}
