package instagram

import (
	"context"
	"fmt"

	"socialqueue/models"
	"socialqueue/platform"
	"socialqueue/platform/instagram"
	"socialqueue/publish"
)

// A carousel has 2 to 10 images and videos through the API (Content Publishing, 2026); only
// Instagram's own app makes longer ones.
const (
	minChildren = 2
	maxChildren = 10
)

// opChild and opChildUpload name the calls for the child at a position, from 0.
func opChild(position int) models.LedgerOp {
	return models.LedgerOp(fmt.Sprintf("instagram.create_child_%d", position+1))
}

func opChildUpload(position int) models.LedgerOp {
	return models.LedgerOp(fmt.Sprintf("instagram.upload_child_%d", position+1))
}

// childSteps make the containers of a carousel's children. They do not wait for each other:
// the carousel's own container waits for all of them.
func (p *Publisher) childSteps() []publish.Step {
	var steps []publish.Step
	for i := range maxChildren {
		steps = append(steps,
			publish.Step{Op: opChild(i), File: i + 1, Harmless: true, Heavy: true, Budget: p.containers(), Prepare: p.prepareChild(i)},
			publish.Step{
				Op: opChildUpload(i), File: i + 1, Harmless: true, Resumes: true, Heavy: true, Needs: opChild(i), Prepare: p.prepareUpload(i, opChild(i)),
			})
	}
	return steps
}

// prepareChild prepares the call that makes the container of the child at a position.
func (p *Publisher) prepareChild(position int) func(context.Context, *publish.Run) (publish.Call, error) {
	return func(ctx context.Context, run *publish.Run) (publish.Call, error) {
		options, err := p.prepareFirst(ctx, run, position)
		if err != nil {
			return nil, err
		}
		child, err := childOf(ctx, run, options, position)
		if err != nil {
			return nil, err
		}
		return func(ctx context.Context) (publish.Result, error) {
			id, err := p.client.CreateChild(ctx, run.Token().Access, run.Token().ProviderAccountID, child)
			return publish.Result{ID: id, Message: fmt.Sprintf("Instagram made the container %s for file %d", id, position+1)}, err
		}, nil
	}
}

// prepareFirst asks whether the account's quota has room before the first child is made.
func (p *Publisher) prepareFirst(ctx context.Context, run *publish.Run, position int) (*Options, error) {
	if position == 0 {
		return p.prepare(ctx, run)
	}
	if p.client == nil {
		return nil, errNoAppSecret
	}
	return Of(run.Post())
}

func childOf(ctx context.Context, run *publish.Run, options *Options, position int) (instagram.Child, error) {
	files, err := run.Files(ctx)
	if err != nil {
		return instagram.Child{}, err
	}
	file, err := run.File(ctx, position)
	if err != nil || isVideo(file) {
		return instagram.Child{}, err
	}
	link, err := run.Link(ctx, position, run.Now().Add(linkLife))
	return instagram.Child{ImageURL: link, AltText: files[position].AltText, UserTags: tags(options.childTags(position))}, err
}

// prepareCarousel prepares the call that makes the carousel's own container, once all children
// are ready.
func (p *Publisher) prepareCarousel(ctx context.Context, run *publish.Run) (publish.Call, error) {
	options, err := Of(run.Post())
	if err != nil {
		return nil, err
	}
	v, err := p.readChildren(ctx, run)
	if err != nil {
		return nil, err
	}
	if v.State != publish.NotLive {
		return nil, v.Found()
	}
	files, err := run.Files(ctx)
	if err != nil {
		return nil, err
	}
	children := make([]string, len(files))
	for i := range files {
		children[i] = run.ID(opChild(i))
	}
	return func(ctx context.Context) (publish.Result, error) {
		id, err := p.client.CreateCarousel(ctx, run.Token().Access, run.Token().ProviderAccountID, instagram.Carousel{
			Children: children, Caption: options.Caption, LocationID: options.LocationID, Collaborators: options.Collaborators,
			AIGenerated: options.AIGenerated, AddOn: options.addOn(),
		})
		return made(id, "Instagram puts the carousel together"), err
	}, nil
}

// readCarousel tells whether the carousel's container is ready or, before it is made, whether
// its children are.
func (p *Publisher) readCarousel(ctx context.Context, run *publish.Run) (publish.Verdict, error) {
	if run.Entry(opContainer) == nil {
		return p.readChildren(ctx, run)
	}
	return p.readContainer(ctx, run)
}

// readChildren reads the children in order, up to the first that is not ready. One that
// failed is made again by itself.
func (p *Publisher) readChildren(ctx context.Context, run *publish.Run) (publish.Verdict, error) {
	files, err := run.Files(ctx)
	if err != nil {
		return publish.Verdict{}, err
	}
	for i := range files {
		if run.Entry(opChild(i)) == nil {
			return publish.Verdict{State: publish.NotReady, Message: fmt.Sprintf("file %d is not at Instagram yet", i+1)}, nil
		}
		status, err := container(ctx, p.client, run, opChild(i))
		if err != nil {
			return publish.Verdict{}, err
		}
		if status.State == instagram.StatePublished { // with its carousel, which a restored database does not know of
			return p.live(ctx, run)
		}
		if v := judgeChild(run, i, status); v.State != publish.NotLive {
			return v, nil
		}
	}
	return publish.Verdict{State: publish.NotLive, Message: "all files are ready"}, nil
}

// judgeChild says what the state of a child means; NotLive is ready.
func judgeChild(run *publish.Run, position int, status instagram.ContainerStatus) publish.Verdict {
	op, name := opChild(position), fmt.Sprintf("file %d", position+1)
	again := func(why string) publish.Verdict {
		v := over(platform.Transient, name+" "+why)
		v.Op = op
		return v
	}
	switch status.State {
	case instagram.StateFinished:
		return publish.Verdict{State: publish.NotLive}
	case instagram.StateErrored:
		v := errored(status)
		v.Op = op
		v.Err.Message = name + ": " + v.Err.Message
		return v
	case instagram.StateExpired: // and so are the others, or soon
		return over(platform.Transient, name+" expired before the carousel was published")
	case instagram.StateInProgress:
		if run.Waited() > containerPatience {
			return again("was not finished in " + containerPatience.String())
		}
		return publish.Verdict{State: publish.NotReady, Message: "Instagram, " + name + ": " + status.Text}
	}
	switch {
	case expired(run, op):
		return over(platform.Transient, name+" could not be read until it expired")
	case run.Waited() > unreadablePatience:
		return publish.Verdict{State: publish.NotLive} // the carousel's own container says whether it is ready
	}
	return publish.Verdict{Message: name + " cannot be read: " + status.Text}
}
