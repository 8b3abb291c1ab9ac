package instagram

import (
	"time"

	"socialqueue/sandbox/engine"
)

const containerLife = day // IG Container reference

// The status_code values of a container.
const (
	stateInProgress = "IN_PROGRESS"
	stateFinished   = "FINISHED"
	stateError      = "ERROR"
	stateExpired    = "EXPIRED"
	statePublished  = "PUBLISHED"
)

// container is one media container. Platform.mu guards it.
type container struct {
	id          string
	account     *account
	kind        *mediaKind
	createdAt   time.Time
	caption     string
	altText     string
	location    string
	poll        []string // answers of the poll under the caption
	prompt      bool     // readers are asked to comment
	shareToFeed bool
	video       bool
	children    []*container

	resumable bool
	fileSize  int64 // announced by the first upload request; 0 before
	busy      bool  // bytes are coming in
	blob      *engine.Blob

	arrivedAt time.Time // all bytes are here, or failed; zero before
	failure   string    // subcode processing ends in, or ""
	stuck     bool
	polls     int // reads answered IN_PROGRESS

	mediaID string // of the latest post, set by media_publish
}

func (n *container) maxBytes() int64 {
	if n.kind == kindStory {
		return maxStoryBytes
	}
	return maxReelBytes
}

// arrive records that all bytes have arrived, or never will, and decides the result of processing.
func (ig *Platform) arrive(n *container, now time.Time) {
	n.arrivedAt = now
	if n.blob != nil {
		n.blob.Finish()
		if n.failure == "" && n.video && !isVideo(n.blob.ContentType()) {
			n.failure = "2207026"
		}
	}
	if f, ok := ig.host.TakeFault(OpProcess, n.account.IGID); ok {
		n.stuck = f.Mode == engine.ModeStuck
		if f.Mode == engine.ModeFail {
			n.failure = f.Code
		}
	}
	if n.failure != "" && n.blob != nil {
		n.blob.Discard()
	}
}

// state returns the status_code of the container at the virtual time.
func (n *container) state(now time.Time, d *Delays) string {
	switch {
	case n.mediaID != "":
		return statePublished
	case !now.Before(n.createdAt.Add(containerLife)):
		return stateExpired
	case n.arrivedAt.IsZero() || n.stuck || now.Before(n.arrivedAt.Add(n.delay(d))) || n.polls < d.Polls:
		return stateInProgress
	case n.failure != "":
		return stateError
	}
	return n.childState(now, d)
}

// childState returns the state of a carousel: it is as far as its slowest child, and fails with any of them.
func (n *container) childState(now time.Time, d *Delays) string {
	state := stateFinished
	for _, child := range n.children {
		switch child.state(now, d) {
		case stateError, stateExpired:
			return stateError
		case stateInProgress:
			state = stateInProgress
		}
	}
	return state
}

func (n *container) delay(d *Delays) time.Duration {
	if n.video {
		return d.Video
	}
	return d.Image
}

// readContainer answers GET /{container}. The status sentence is the one that Meta sends (observed).
func (ig *Platform) readContainer(c *graphCall) engine.Reply {
	ig.mu.Lock()
	defer ig.mu.Unlock()
	n := ig.containers[c.id]
	state := n.state(c.Now, ig.opts.Delays)
	if state == stateInProgress {
		n.polls++
	}
	return ig.selectFields(c, map[string]any{
		"id": n.id, "status_code": state, "status": n.sentence(state), "video_status": n.videoStatus(state),
		"copyright_check_status": map[string]any{"status": "completed", "matches_found": false},
	})
}

func (n *container) sentence(state string) string {
	switch state {
	case stateFinished:
		return "Finished: Media has been uploaded and it is ready to be published."
	case stateInProgress:
		return "In progress: Media is still being processed."
	case statePublished:
		return "Published: Media has been successfully published."
	case stateExpired:
		return "Expired: Media has not been published within 24 hours and can no longer be published."
	}
	code := n.failure
	for _, child := range n.children {
		engine.SetDefault(&code, child.failure)
	}
	engine.SetDefault(&code, "2207053")
	return "Error: Media upload has failed with error code " + code
}

// videoStatus returns the progress of a resumable upload (Resumable Uploads).
func (n *container) videoStatus(state string) any {
	if !n.resumable {
		return nil
	}
	upload := map[string]any{"status": "not_started", "bytes_transferred": int64(0)}
	if n.blob != nil {
		upload["status"], upload["bytes_transferred"] = "in_progress", n.blob.Size()
	}
	processing := "not_started"
	if !n.arrivedAt.IsZero() {
		upload["status"] = "complete"
		processing = map[string]string{stateInProgress: "in_progress", stateError: "error"}[state]
		engine.SetDefault(&processing, "complete")
	}
	return map[string]any{"uploading_phase": upload, "processing_phase": map[string]string{"status": processing}}
}
