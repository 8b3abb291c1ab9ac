package observe

import "context"

type correlationKey struct{}

// WithCorrelationID returns a context that carries the id which ties together
// the request, the task and all log lines of one piece of work.
func WithCorrelationID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, correlationKey{}, id)
}

// CorrelationID reads the id; it is empty where none was set.
func CorrelationID(ctx context.Context) string {
	id, _ := ctx.Value(correlationKey{}).(string)
	return id
}
