package doctor

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"socialqueue/db"
	"socialqueue/jobs"
	"socialqueue/models"
)

// grace is how long work may be overdue before it counts as stuck. The sweep runs every
// second, and checks a post again after fifteen.
const grace = time.Minute

func (d *doctor) queues(ctx context.Context) error {
	unnamed, err := d.Queue.UnnamedQueues(ctx)
	if err != nil {
		return err
	}
	lost, err := d.Queue.Lost(ctx)
	if err != nil {
		return err
	}
	switch {
	case len(unnamed) > 0 && lost: // the check of the posts reports it if tasks are missing
		d.ok("no scheduler has named the queues %s in this Redis yet", strings.Join(unnamed, ", "))
	case len(unnamed) > 0:
		d.fixable(Warn, len(unnamed), "Redis lost the names of the queues %s, so tools do not show them", strings.Join(unnamed, ", "))
	}
	paused, err := d.Queue.Paused()
	if err != nil {
		return err
	}
	if len(paused) > 0 {
		d.warn("resume them when they need no longer be paused: `socialqueue queue resume QUEUE`", "paused: %s", strings.Join(paused, ", "))
	}
	if len(unnamed) == 0 && len(paused) == 0 {
		d.ok("all queues exist, none is paused")
	}
	return nil
}

func (d *doctor) orphans(ctx context.Context) error {
	found, err := d.Queue.Orphans(ctx, false, false)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		d.ok("Asynq's lists and tasks are consistent")
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
		d.fixable(Bad, lost, "%d ids in Asynq's lists have no task: Redis lost a part of its data", lost)
	}
	if unleased > 0 {
		d.fixable(Bad, unleased, "%d tasks are active without a lease: Asynq never recovers them", unleased)
	}
	if untimed > 0 {
		d.fixable(Warn, untimed, "%d tasks that workers requeued lack the time since when they wait, so alerts do not cover them", untimed)
	}
	return nil
}

func (d *doctor) fixOrphans(ctx context.Context) error {
	_, err := d.Queue.Orphans(ctx, false, true)
	return err
}

func (d *doctor) archive(ctx context.Context) error {
	n, err := d.Queue.TrimArchive(ctx, d.Now(), false)
	if err != nil {
		return err
	}
	if n == 0 {
		d.ok("Asynq can handle the number of archived tasks")
		return nil
	}
	d.fixable(Warn, n, "%d archived tasks are old or too many; Asynq fails at about 8,000 old ones. Deleting them loses nothing: the posts are in the database", n)
	return nil
}

func (d *doctor) trimArchive(ctx context.Context) error {
	_, err := d.Queue.TrimArchive(ctx, d.Now(), true)
	return err
}

// posts checks that every due post has a task.
func (d *doctor) posts(ctx context.Context) error {
	lost, err := d.Queue.Lost(ctx)
	if err != nil {
		return err
	}
	n, example, err := d.DB.Admission.CountUnattended(ctx, d.Now(), grace)
	if err != nil {
		return err
	}
	if lost { // a new Redis beside a database without posts in work lost nothing
		admitted, err := d.DB.Admission.Admitted(ctx, "", 1)
		if err != nil {
			return err
		}
		lost = len(admitted) > 0
	}
	if lost {
		d.fixable(Bad, 1, "Redis lost its data, or is new, and no scheduler has enqueued the tasks of all posts again")
	}
	if n > 0 {
		d.fixable(Bad, n, "%d posts are due and no worker processes them, such as %s: is a scheduler alive, and a worker?", n, example)
	}
	if !lost && n == 0 {
		d.ok("every due post has a task")
	}
	return nil
}

// tasks checks for outdated tasks: their post was deleted or has a newer fence.
func (d *doctor) tasks(ctx context.Context) error {
	s, err := d.stale(ctx)
	if err != nil {
		return err
	}
	if s.next > 0 {
		d.ok("%d of %d tasks are pending and outdated: workers will drop them", s.next, s.all)
	}
	if len(s.others) > 0 {
		d.fixable(OK, len(s.others), "%d of %d tasks are outdated; they do no harm", len(s.others), s.all)
	}
	if s.next == 0 && len(s.others) == 0 {
		d.ok("%d tasks, none outdated", s.all)
	}
	return nil
}

// staleTasks are the outdated tasks. next counts the pending ones, which are left to workers:
// to delete many entries from a long list would block Redis.
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
			fence, exists := fences[t.PostID]
			switch {
			case exists && fence == t.Fence:
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
		d.bad("start a worker and a scheduler; the posts then continue", "the leases of %d posts expired more than a minute ago, and no worker took the posts over", s.Leases)
	}
	if s.Waiting > 0 {
		d.bad("start a scheduler", "%d posts have been due for more than a minute and are not in Asynq", s.Waiting)
	}
	if s.Events > 0 {
		d.bad("start a worker and a scheduler", "%d platform events have been due for more than a minute", s.Events)
	}
	if s.Endpoints > 0 {
		d.warn("check whether the queue notify is paused or has a backlog", "%d webhook endpoints of apps have deliveries that have been due for more than a minute", s.Endpoints)
	}
	if len(d.found) == before {
		d.ok("no work is overdue")
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
		d.ok("no post has been uncertain for more than an hour")
		return nil
	}
	d.warn("check the accounts, then settle the posts at /console or with `socialqueue post resolve`", "%d posts have been uncertain for more than an hour, such as %s", len(old), old[0].ID)
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

// subscriptionsShown is how many accounts the check of the subscriptions names.
const subscriptionsShown = 5

// subscriptions checks that webhooks come about every account behind a login.
func (d *doctor) subscriptions(ctx context.Context) error {
	n, examples, err := d.DB.Subscriptions.Missing(ctx, subscriptionsShown)
	if err != nil {
		return err
	}
	if n == 0 {
		d.ok("no connected Instagram account lacks webhooks about comments")
		return nil
	}
	shown := make([]string, len(examples))
	for i, e := range examples {
		shown[i] = "@" + e.Username + " (" + cmp.Or(e.Reason, "not tried yet") + ")"
	}
	d.warn("where a permission was not allowed, connect the account again and allow all permissions; the others are tried again within a day, while a worker and a scheduler run",
		"%d connected Instagram accounts get no webhooks about comments, such as %s", n, strings.Join(shown, ", "))
	return nil
}

func (d *doctor) secrets(ctx context.Context) error {
	if d.Config.Keyring == nil {
		d.warn("run the doctor with the settings of the api or a worker", "TOKEN_ENCRYPTION_KEY is not set, so it was not checked whether the stored secrets can be decrypted")
		return nil
	}
	if weak := d.Config.Keyring.Weak(); len(weak) > 0 {
		d.warn("put a random one in front of it (openssl rand -base64 32), restart, and run `socialqueue secrets rotate`", "keys of TOKEN_ENCRYPTION_KEY can be guessed: %s", strings.Join(weak, ", "))
	}
	s, err := d.Tokens.CheckSecrets(ctx)
	if err != nil {
		return err
	}
	for _, why := range slices.Sorted(maps.Keys(s.Unreadable)) {
		d.bad("add the named key to TOKEN_ENCRYPTION_KEY, after the first; no account is lost meanwhile", "%d of %d stored secrets cannot be decrypted: %s", s.Unreadable[why], s.All, why)
	}
	if s.Old > 0 {
		d.warn("run `socialqueue secrets rotate`", "%d of %d stored secrets are not encrypted with the first key", s.Old, s.All)
	}
	if len(s.Unreadable) == 0 && s.Old == 0 {
		d.ok("all %d stored secrets can be decrypted", s.All)
	}
	return nil
}

// storageTime is how long the storage may take to write, read and delete a small file.
const storageTime = 5 * time.Second

func (d *doctor) media(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, storageTime)
	defer cancel()
	tried := make(chan error, 1)
	go func() { tried <- d.Store.Try(ctx) }() // on a file system that hangs it does not return
	var err error
	select {
	case err = <-tried:
	case <-ctx.Done():
	}
	switch {
	case ctx.Err() != nil:
		d.bad("check that the storage of MEDIA_BUCKET_URL runs and that this machine reaches it; posts with files wait meanwhile", "the storage did not answer within %s", storageTime)
	case err != nil:
		d.bad("allow this machine to write to MEDIA_BUCKET_URL; if it is full, free space there", "files cannot be stored: %v", err)
	default:
		d.ok("a test file was written, read and deleted")
	}
	return nil
}

func (d *doctor) endpoints(ctx context.Context) error {
	b, err := d.DB.Operators.Backlog(ctx, d.Now().UTC())
	if err != nil {
		return err
	}
	if b.DisabledEndpoints > 0 {
		d.warn("notify the apps' developers, who can enable them again over the API", "%d webhook endpoints of apps are disabled after failures", b.DisabledEndpoints)
		return nil
	}
	d.ok("no webhook endpoint is disabled after failures, %d deliveries are pending", b.Deliveries)
	return nil
}

func (d *doctor) breakers(ctx context.Context) error {
	all, err := d.DB.Breakers.List(ctx)
	if err != nil {
		return err
	}
	open := 0
	for _, b := range all {
		if !b.Open() {
			continue
		}
		open++
		d.warn("wait; if the platform is well, look at whether this installation reaches it", "%s keeps failing since %s: %s. %d posts have tried since, and the others wait",
			b.Op, b.OpenedAt.UTC().Format(time.RFC3339), b.Message, b.Probes)
	}
	if open == 0 {
		d.ok("no kind of call to a platform keeps failing")
	}
	return nil
}

func (d *doctor) pauses(ctx context.Context) error {
	all, err := d.DB.Admission.Pauses(ctx)
	if err != nil {
		return err
	}
	for _, p := range all {
		d.warn("resume it when it need no longer be paused, with `socialqueue queue resume --platform P` or `--account P:ID`, or at /console", "%s (since %s)", p, p.CreatedAt.Format(time.RFC3339))
	}
	if len(all) == 0 {
		d.ok("no platform or account is paused")
	}
	return nil
}
