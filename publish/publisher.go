package publish

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/secrets"
	"socialqueue/view"
)

// Publisher knows how posts are made on one platform. It reaches neither the database
// nor the queue: it declares, for each kind of post, the steps that make it live, and
// answers what the platform says about them. The engine decides which step is next,
// records each call before it is made, and decides what follows from its result.
type Publisher interface {
	Platform() models.Platform
	Kinds() []Kind
}

// Kind is one kind of post on a platform.
type Kind struct {
	Name models.Kind
	// Decode reads the options that a post of this kind was stored with.
	Decode func(json.RawMessage) (Options, error)
	// Steps make the post live, in this order. The last one needs a Read.
	Steps []Step
	// MinFiles and MaxFiles are how many files such a post has; zero means one. The steps of
	// a file that a post does not have are left out.
	MinFiles, MaxFiles int
	// Search searches the platform, read-only, for the post itself: by its text, its files
	// and the time, as nothing that was sent is recorded. Live means that exactly one post
	// there is this one, NotLive that a list which would show it does not; the zero Verdict
	// means that nothing can be concluded; its ID may name one that resembles the post. Nil:
	// there is no such list.
	Search func(context.Context, *Run, Window) (Verdict, error)
	// AltTexts: pictures of such a post are shown with their alt texts. No platform takes those of
	// videos.
	AltTexts bool
	// Allow notes which options this installation does not allow; nil allows all.
	Allow func(errs *models.FieldErrors, options Options)
	// Comment makes the first comment under such a post; nil if it can have none.
	Comment *Comment
	// Variants are other ways to make such a post. The first whose Applies reports true of the
	// options takes the place of this kind.
	Variants []Kind
	// Applies is set in variants.
	Applies func(Options) bool
	// CheckPull is set where the platform fetches the files from the customer's links itself. It
	// notes why the platform cannot fetch a link; an empty one is a file that is stored here.
	CheckPull func(errs *models.FieldErrors, link string)
}

// Options are what an app says about a post, beside its file. They are stored as JSON.
type Options interface {
	// Check notes what breaks a rule of the platform and can be known without the files, of
	// which there are so many.
	Check(errs *models.FieldErrors, kind models.Kind, files int)
	// CheckFile notes what is wrong with the post's file, which the app named in field.
	CheckFile(errs *models.FieldErrors, field string, kind models.Kind, m *models.Media)
	// Links returns further links of the customer, by field. They must be reachable.
	Links() map[string]string
	// Content returns the texts of a post of the kind.
	Content(kind models.Kind) view.Content
	// Describe returns the post's text, and short facts about it, for people.
	Describe() (text string, facts []string)
}

// Storer are Options of which not all is stored.
type Storer interface {
	// Stored returns what is.
	Stored() any
}

// Scoped are Options of which some need a permission that an account can be connected without.
type Scoped interface {
	// Scopes returns these permissions, in the platform's words, by the field that needs them.
	Scopes() map[string]string
}

// AccountBound are Options that depend on the account that posts.
type AccountBound interface {
	// UseAccount puts what the account has by default into the options, and notes what it will
	// be refused at the time of publishing, as it was refused shortly before.
	UseAccount(errs *models.FieldErrors, kind models.Kind, a models.PostingAccount, at time.Time)
}

// Step is one call that brings a post nearer to being live.
//
// A step whose fields are left out is treated with caution: its call is recorded before
// it is made, counts as one that may have made the post live, is never repeated unless
// Read proved that it had no effect, and if nothing can be read the post stays uncertain
// until an operator settles it.
type Step struct {
	// Op names the call in the ledger and the timeline.
	Op models.LedgerOp
	// Harmless: the call alone can make nothing live, however often it is made.
	Harmless bool
	// Resumes: the call moves the bytes of a file and goes on from where the platform
	// stands each time it is made, so it needs no record. Only for harmless steps.
	Resumes bool
	// Heavy: the call moves files, so it runs in the upload queue.
	Heavy bool
	// File is the number of the file that the step is about, from 1; zero means the whole post.
	// Posts without such a file do not have the step.
	File int
	// Needs is the earlier harmless call on whose result alone the step works. If that result
	// is gone, only this call is made again; where Needs is empty, everything is.
	Needs models.LedgerOp
	// Budget limits how often the call is made for an account; nil if nothing does.
	Budget *Budget
	// Prepare reads and checks everything that the call needs, and returns the call.
	// Nothing it does may have an effect on the platform. An error means that the call
	// was not made; Verdict.Found as the error means that there is nothing left to call.
	Prepare func(context.Context, *Run) (Call, error)
	// Keep shows the id that the call returned in the post. It may be nil.
	Keep func(p *models.Post, id string)
	// Read asks the platform, read-only, what the call came to. On a harmless step it
	// decides when the next step may begin. Nil, an error and the zero Verdict all mean
	// that nothing is known.
	Read func(context.Context, *Run) (Verdict, error)
	// ReadPace limits how often Read is called for an account; nil if nothing does.
	ReadPace *Pace
	// Back is the step to go on from where the call is to be repeated; empty means this
	// one.
	Back models.LedgerOp
	// RefusalProves: an answer with an error proves that the call had no effect. Where it
	// is false, the platform is read after a refusal before anything is concluded.
	RefusalProves bool
	// NotReadyLimit is how often the platform may answer that an earlier step is not ready
	// before everything is begun again. Zero means once.
	NotReadyLimit int
}

// Call is the one call of a step.
type Call func(context.Context) (Result, error)

// Result is what a call that succeeded returned.
type Result struct {
	// ID is the platform's id for what the call made; empty if there is none.
	ID string
	// Secret is what later steps need beside it, such as an upload URL. It is sealed.
	Secret secrets.Secret
	// Live: the platform said that the post is live.
	Live bool
	// Message says in the timeline what the call made, Waiting what the platform does
	// now where the next step has to wait for it.
	Message, Waiting string
	// Record is written along with the post. It may be nil.
	Record models.Record
}

// VerdictState is what a read of the platform showed.
type VerdictState uint8

const (
	// Unreadable: nothing can be concluded. It is the zero value.
	Unreadable VerdictState = iota
	// NotReady: nothing is live, and the platform still works on what an earlier step
	// made.
	NotReady
	// NotLive: the platform was read successfully, the call had no effect so far, and
	// what earlier steps made is intact and ready. Of a harmless step that was made it
	// means that the next one may begin, of one that was not that it may be made.
	NotLive
	// Pending: the platform accepted the call and works on it.
	Pending
	// Live: the post is live.
	Live
	// Delivered: the post is in the creator's inbox, for the creator to publish.
	Delivered
	// Over: what the steps made so far can never go live. Everything is begun again, or
	// the post fails, as Err says. Verdict.Op limits that to one call.
	Over
)

// Verdict is the answer of Step.Read.
type Verdict struct {
	State VerdictState
	// Message says so in the timeline.
	Message string
	// ID and Permalink are those of a live post, as far as they are known.
	ID, Permalink string
	// At is when the post went live; zero if that was just now, or is not known.
	At time.Time
	// IDWithin is how long after a post went live its id may still become known.
	IDWithin time.Duration
	// Err says why it is over and what may be done next: its Kind decides.
	Err *platform.Error
	// Op is the harmless call whose result alone is Over, so that the others are kept; empty
	// if everything is over.
	Op models.LedgerOp
	// Record is written along with the post. It may be nil.
	Record models.Record
}

// Found makes the verdict an error for Prepare to return: the call is not needed,
// because the platform already shows what became of the post.
func (v Verdict) Found() error { return &foundError{v} }

type foundError struct{ verdict Verdict }

func (e *foundError) Error() string { return "nothing to call: " + e.verdict.Message }

// WaitError is returned by Prepare for a call that must not be made before In has passed,
// for instance because a quota is used up. The post waits without using an attempt.
type WaitError struct {
	// In is zero for a wait until the next poll.
	In time.Duration
	// Reason is one of the deferral reasons that apps see.
	Reason string
	// Message explains it in the timeline.
	Message string
}

// Error returns the message.
func (e *WaitError) Error() string { return e.Message }

// DecodeOptions reads the options that a post was stored with.
func DecodeOptions[T any](p *models.Post) (*T, error) {
	var options T
	if err := json.Unmarshal(p.Options(), &options); err != nil {
		return nil, fmt.Errorf("decode the options of post %s: %w", p.ID, err)
	}
	return &options, nil
}

// publishers finds the kinds of all platforms.
type publishers map[models.Platform]map[models.Kind]*Kind

// newPublishers checks what the publishers declare. An error is a mistake of the program.
func newPublishers(list []Publisher) (publishers, error) {
	all := publishers{}
	for _, p := range list {
		kinds := map[models.Kind]*Kind{}
		for _, k := range p.Kinds() {
			for _, way := range append([]Kind{k}, k.Variants...) {
				if err := way.check(); err != nil {
					return nil, fmt.Errorf("publisher of %s, kind %s: %w", p.Platform(), k.Name, err)
				}
			}
			kinds[k.Name] = &k
		}
		all[p.Platform()] = kinds
	}
	return all, nil
}

// kind finds a kind of posts, or nil if this program has no publisher for it.
func (p publishers) kind(platform models.Platform, kind models.Kind) *Kind { return p[platform][kind] }

// budgets lists the budgets of a platform's steps, by name.
func (p publishers) budgets(platform models.Platform) []*Budget {
	all := map[string]*Budget{}
	for _, kind := range p[platform] {
		for _, way := range append([]Kind{*kind}, kind.Variants...) {
			for _, step := range way.Steps {
				if step.Budget != nil {
					all[step.Budget.Name] = step.Budget
				}
			}
		}
	}
	var list []*Budget
	for _, name := range slices.Sorted(maps.Keys(all)) {
		list = append(list, all[name])
	}
	return list
}

// of finds the kind of a post, in the variant that its options ask for, or nil if this program
// has no publisher for it. Options that cannot be decoded fail the first step that needs them.
func (p publishers) of(post *models.Post) *Kind {
	kind := p.kind(post.Platform, post.Kind)
	if kind == nil || len(kind.Variants) == 0 {
		return kind
	}
	options, err := kind.Decode(post.Options())
	if err != nil {
		return kind
	}
	return kind.variant(options)
}

// variant returns the kind in the variant that options ask for.
func (k *Kind) variant(options Options) *Kind {
	for i := range k.Variants {
		if k.Variants[i].Applies(options) {
			return &k.Variants[i]
		}
	}
	return k
}

func (k *Kind) check() error {
	if len(k.Steps) == 0 || k.Steps[len(k.Steps)-1].Read == nil {
		return errors.New("the last step needs a Read: without one nobody can tell whether the post is live")
	}
	if k.Steps[len(k.Steps)-1].File != 0 {
		return errors.New("the last step is one of every post, not that of one file")
	}
	seen := map[models.LedgerOp]bool{}
	for _, s := range k.Steps {
		switch {
		case s.Op == "" || seen[s.Op]:
			return fmt.Errorf("step %q needs a name of its own", s.Op)
		case s.Prepare == nil:
			return fmt.Errorf("step %s has no Prepare", s.Op)
		case s.Resumes && !s.Harmless:
			return fmt.Errorf("step %s resumes but is not harmless: a call that may make the post live is always recorded", s.Op)
		case s.Back != "" && !seen[s.Back]:
			return fmt.Errorf("step %s goes back to %s, which is no earlier step", s.Op, s.Back)
		case s.Needs != "" && !seen[s.Needs]:
			return fmt.Errorf("step %s needs %s, which is no earlier step", s.Op, s.Needs)
		case s.File < 0 || s.File > k.maxFiles():
			return fmt.Errorf("step %s is about file %d of %d", s.Op, s.File, k.maxFiles())
		}
		seen[s.Op] = true
	}
	if c := k.Comment; c != nil && (c.Op == "" || seen[c.Op]) {
		return fmt.Errorf("the first comment's call %q needs a name of its own", c.Op)
	}
	return nil
}

// declares reports whether op is a call of such posts: of a step, or that of the first comment.
func (k *Kind) declares(op models.LedgerOp) bool {
	return k.index(op) >= 0 || k.Comment != nil && k.Comment.Op == op
}

// index returns the position of the step named op, or -1.
func (k *Kind) index(op models.LedgerOp) int {
	for i := range k.Steps {
		if k.Steps[i].Op == op {
			return i
		}
	}
	return -1
}

func (k *Kind) minFiles() int { return max(k.MinFiles, 1) }

func (k *Kind) maxFiles() int { return max(k.MaxFiles, k.minFiles()) }

// heavy reports whether making such a post moves files.
func (k *Kind) heavy() bool {
	for i := range k.Steps {
		if k.Steps[i].Heavy {
			return true
		}
	}
	return false
}

// back is the position from which the step at i is repeated.
func (k *Kind) back(i int) int {
	if k.Steps[i].Back == "" {
		return i
	}
	return k.index(k.Steps[i].Back)
}
