package engine

import "time"

// Options configures the part of a Server that all platforms share. The zero value is the strict default, but for
// media, which is fetched from loopback addresses too.
type Options struct {
	Now     func() time.Time // base of the virtual clock; default time.Now
	BaseURL string           // how clients reach the sandbox; default the address of Start

	// DataDir receives the uploaded and fetched bytes. Default: a temporary directory that Close removes.
	DataDir string
	// Retain is the largest file kept for the feed page; a larger one is counted and hashed only. Default 512 MiB.
	Retain int64
	// DiscardBytes keeps no file at all: bytes are counted and hashed.
	DiscardBytes bool

	// NoPrivateFetch refuses to fetch media from loopback and private addresses, as the real platforms do.
	NoPrivateFetch bool
	// FetchTimeout bounds one media fetch in real time. Default 30 s.
	FetchTimeout time.Duration
}

const (
	defaultRetain       = 512 << 20
	defaultFetchTimeout = 30 * time.Second
)

func (o Options) withDefaults() Options {
	SetDefault(&o.Retain, defaultRetain)
	SetDefault(&o.FetchTimeout, defaultFetchTimeout)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// SetDefault gives *v the value def if it has none.
func SetDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Must panics on an error in what a script asked for: that is a mistake in the script, not a condition.
func Must(err error) {
	if err != nil {
		panic("sandbox: " + err.Error())
	}
}
