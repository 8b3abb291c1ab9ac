package doctor

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"socialqueue/db"
	"socialqueue/jobs"
	"socialqueue/models"
)

// grace is how long something may stand still before it counts as stuck: the sweep comes
// every second, and looks at a post again after fifteen.
const grace = time.Minute

func (d *doctor) queues(ctx context.Context) error {
	unnamed, err := d.Queue.UnnamedQueues(ctx)
	if err != nil {
		return err
	}
	if len(unnamed) > 0 {
		d.mends(Warn, len(unnamed), "Redis lost the names of the queues %s: tools do not show them", strings.Join(unnamed, ", "))
	}
	paused, err := d.Queue.Paused()
	if err != nil {
		return err
	}
	if len(paused) > 0 {
		d.warn("resume them when the reason is over: `socialqueue queue resume QUEUE`", "paused: %s", strings.Join(paused, ", "))
	}
	if len(unnamed) == 0 && len(paused) == 0 {
		d.ok("all are there, none is paused")
	}
	return nil
}

func (d *doctor) orphans(ctx context.Context) error {
	found, err := d.Queue.Orphans(ctx, false, false)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		d.ok("Asynq's lists and tasks agree")
		return nil
	}
	lost, unleased, untimed := 0, 0, 0
	for _, o := range found {
		switch {
		case o.NoLease:
			unleased++
		case o.NoSince:
			untimed++
		default:
			lost++
		}
	}
	if lost > 0 {
		d.mends(Bad, lost, "%d ids in Asynq's lists have no task any more: Redis lost a part of its content", lost)
	}
	if unleased > 0 {
		d.mends(Bad, unleased, "%d tasks are active without a lease: nobody would take them back", unleased)
	}
	if untimed > 0 {
		d.mends(Warn, untimed, "%d tasks that workers handed back do not say since when they wait: no alert sees how long", untimed)
	}
	return nil
}

func (d *doctor) mendOrphans(ctx context.Context) error {
	_, err := d.Queue.Orphans(ctx, false, true)
	return err
}

func (d *doctor) archive(ctx context.Context) error {
	n, err := d.Queue.TrimArchive(ctx, d.Now(), false)
	if err != nil {
		return err
	}
	if n == 0 {
		d.ok("no more archived tasks than Asynq can handle")
		return nil
	}
	d.mends(Warn, n, "%d archived tasks are old or too many; Asynq fails once there are some 8,000 old ones. They are copies: the posts are in the database", n)
	return nil
}

func (d *doctor) trimArchive(ctx context.Context) error {
	_, err := d.Queue.TrimArchive(ctx, d.Now(), true)
	return err
}

// posts looks for those that should have a task and have none.
func (d *doctor) posts(ctx context.Context) error {
	lost, err := d.Queue.Lost(ctx)
	if err != nil {
		return err
	}
	n, example, err := d.DB.Admission.CountUnattended(ctx, d.Now(), grace)
	if err != nil {
		return err
	}
	if lost {
		d.mends(Bad, 1, "Redis lost its content, or is new, and no scheduler has put the tasks of all posts into it")
	}
	if n > 0 {
		d.mends(Bad, n, "%d posts are due and nobody works on them, such as %s: is a scheduler alive, and a worker?", n, example)
	}
	if !lost && n == 0 {
		d.ok("every post that is due has its task")
	}
	return nil
}

// tasks looks for those whose post is not there, or went on without them.
func (d *doctor) tasks(ctx context.Context) error {
	s, err := d.stale(ctx)
	if err != nil {
		return err
	}
	if s.next > 0 {
		d.ok("%d of %d tasks are next and for posts that are gone or went on without them: a worker ends them", s.next, s.all)
	}
	if len(s.others) > 0 {
		d.mends(OK, len(s.others), "%d of %d tasks are for posts that are gone or went on without them; they find nothing to do", len(s.others), s.all)
	}
	if s.next == 0 && len(s.others) == 0 {
		d.ok("%d wait, each for a post", s.all)
	}
	return nil
}

// staleTasks are those that find nothing to do. The pending ones are left to workers:
// taking many out of a long list holds Redis up.
type staleTasks struct {
	all, next int
	others    []jobs.PostTask
}

func (d *doctor) stale(ctx context.Context) (staleTasks, error) {
	all, err := d.Queue.PostTasks(ctx)
	s := staleTasks{all: len(all)}
	if err != nil {
		return s, err
	}
	for batch := range slices.Chunk(all, 500) {
		fences, err := d.DB.Operators.Fences(ctx, postsOf(batch))
		if err != nil {
			return s, err
		}
		for _, t := range batch {
			fence, there := fences[t.PostID]
			switch {
			case there && fence == t.Fence:
			case t.State == "pending":
				s.next++
			default:
				s.others = append(s.others, t)
			}
		}
	}
	return s, nil
}

func (d *doctor) deleteStale(ctx context.Context) error {
	s, err := d.stale(ctx)
	if err != nil {
		return err
	}
	for _, t := range s.others {
		if err := d.Queue.DeleteTask(t.Queue, t.ID); err != nil {
			return err
		}
	}
	return nil
}

func postsOf(tasks []jobs.PostTask) []string {
	ids := make([]string, len(tasks))
	for i, t := range tasks {
		ids[i] = t.PostID
	}
	return ids
}

func (d *doctor) stuck(ctx context.Context) error {
	s, err := d.DB.Operators.Stuck(ctx, d.Now().Add(-grace))
	if err != nil {
		return err
	}
	before := len(d.found)
	if s.Leases > 0 {
		d.bad("start a worker and a scheduler; the posts go on by themselves", "%d posts are held by workers that were not heard of for a minute, and nobody took them over", s.Leases)
	}
	if s.Waiting > 0 {
		d.bad("start a scheduler", "%d posts are due since a minute and were not moved into Asynq", s.Waiting)
	}
	if s.Events > 0 {
		d.bad("start a worker and a scheduler", "%d events of platforms are due since a minute", s.Events)
	}
	if s.Endpoints > 0 {
		d.warn("see whether the queue notify is paused, or full", "%d endpoints of apps have something due since a minute", s.Endpoints)
	}
	if len(d.found) == before {
		d.ok("nothing stands still")
	}
	return nil
}

func (d *doctor) uncertain(ctx context.Context) error {
	posts, err := d.DB.Operators.AllPosts(ctx, db.PostFilter{Status: models.Uncertain, Limit: 1000})
	if err != nil {
		return err
	}
	old := slices.DeleteFunc(posts, func(p models.Post) bool { return p.WaitingSince != nil && d.Now().Sub(*p.WaitingSince) < time.Hour })
	if len(old) == 0 {
		d.ok("no post is uncertain since more than an hour")
		return nil
	}
	d.warn("look at the accounts and settle them, at /console or with `socialqueue post resolve`", "%d posts are uncertain since more than an hour, such as %s", len(old), old[0].ID)
	return nil
}

func (d *doctor) accounts(ctx context.Context) error {
	b, err := d.DB.Operators.Backlog(ctx, d.Now().UTC())
	if err != nil {
		return err
	}
	active, waiting := int64(0), int64(0)
	for _, n := range b.Accounts {
		switch n.Status {
		case models.AccountActive:
			active += n.N
		case models.AccountReauthorize:
			waiting += n.N
		}
	}
	if waiting > 0 {
		d.warn("their owners have to connect them again; see /console/accounts?status=reauth_required", "%d are active, %d have to be connected again", active, waiting)
		return nil
	}
	d.ok("%d are active", active)
	return nil
}

func (d *doctor) secrets(ctx context.Context) error {
	if d.Config.Keyring == nil {
		d.warn("run this where api or worker run, with their settings", "TOKEN_ENCRYPTION_KEY is not set here: whether the tokens can be read is not known")
		return nil
	}
	s, err := d.Tokens.CheckSecrets(ctx)
	if err != nil {
		return err
	}
	for _, why := range slices.Sorted(maps.Keys(s.Unreadable)) {
		d.bad("add the key that is named to TOKEN_ENCRYPTION_KEY, behind the first; no account is lost meanwhile", "%d of %d stored secrets cannot be read: %s", s.Unreadable[why], s.All, why)
	}
	if s.Old > 0 {
		d.warn("run `socialqueue secrets rotate`", "%d of %d stored secrets are not under the first key", s.Old, s.All)
	}
	if len(s.Unreadable) == 0 && s.Old == 0 {
		d.ok("all %d stored secrets can be read", s.All)
	}
	return nil
}

func (d *doctor) media(ctx context.Context) error {
	if err := d.Store.Try(ctx); err != nil {
		d.bad("see to it that this machine may write to MEDIA_BUCKET_URL", "files cannot be stored: %v", err)
		return nil
	}
	d.ok("a file could be written, read and deleted")
	return nil
}

func (d *doctor) endpoints(ctx context.Context) error {
	b, err := d.DB.Operators.Backlog(ctx, d.Now().UTC())
	if err != nil {
		return err
	}
	if b.DisabledEndpoints > 0 {
		d.warn("tell the apps they belong to; they enable them again by the API", "%d endpoints of apps are told nothing", b.DisabledEndpoints)
		return nil
	}
	d.ok("none of apps is disabled, %d webhooks are still to be delivered", b.Deliveries)
	return nil
}

func (d *doctor) pauses(ctx context.Context) error {
	all, err := d.DB.Admission.Pauses(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		d.warn("resume it when the reason is over: `socialqueue queue resume --platform P` or `--account P:ID`, or at /console", "since %s %s", p.CreatedAt.Format(time.RFC3339), p)
	}
	if len(all) == 0 {
		d.ok("no platform or account is paused")
	}
	return nil
}
