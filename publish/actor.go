package publish

import "context"

type actorKey struct{}

// WithActor returns a context in which changes of posts are somebody's other than the
// app's. The timeline tells whose.
func WithActor(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, actorKey{}, name)
}

func actor(ctx context.Context) string {
	if name, ok := ctx.Value(actorKey{}).(string); ok {
		return name
	}
	return "the app"
}
