package observe

import "context"

type correlationKey struct{}

// WithCorrelationID returns a context with a correlation id. The request, its tasks and all
// their log lines have the same id.
func WithCorrelationID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, correlationKey{}, id)
}

// CorrelationID returns the correlation id of ctx; empty if there is none.
func CorrelationID(ctx context.Context) string {
	id, _ := ctx.Value(correlationKey{}).(string)
	return id
}
