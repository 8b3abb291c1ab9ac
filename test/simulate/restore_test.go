package simulate

import (
	"os"
	"time"

	"socialqueue/models"
)

// restores has backups restored in some histories. It is off until the engine notices a database that is older than what
// was sent.
var restores = os.Getenv("SIM_RESTORE") != "off"

// restoreRate is how often a backup is made or restored, for each round of ticks.
const restoreRate = 0.03

// backup makes a backup of the database, or restores the last one: all processes stop, the database is the older one, and
// the queue is empty. What the platforms have stays.
func (h *history) backup() {
	if !restores {
		return
	}
	if h.happens(backupActor, "makes a backup", 2*restoreRate) && !h.store.busy() {
		h.store.must(h.store.copyTo("backup"))
		h.backedUp = time.Now()
	}
	if h.backedUp.IsZero() || !h.happens(backupActor, "restores the backup", restoreRate) {
		return
	}
	h.killAll("for a restored backup")
	h.store.must(h.store.copyFrom("backup"))
	h.queue.flush()
	h.restored = true
	for _, p := range h.plan.posts {
		if row, err := h.row(p); row == nil {
			h.store.must(err)
			p.accepted, p.id = false, "" // accepted after the backup: nobody can know it
		}
	}
}

// backupActor is whoever makes backups.
var backupActor = &actor{name: "operator"}

// held reports whether a post waits for a person because of a restored backup.
func (h *history) held(row *models.Post) bool {
	return h.restored && row.DeferredReason == models.DeferredRestored
}
