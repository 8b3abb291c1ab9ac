package engine

import (
	"net/http"
	"time"
)

// Options configures what all platforms share.
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
	// FetchTransport carries the media fetches. Default: the network.
	FetchTransport http.RoundTripper

	// OnWebhook takes each webhook instead of the sandbox's own sender, which then needs no address and sends nothing. sign
	// returns the headers of one sending at the time of the call.
	OnWebhook func(w Webhook, sign func() http.Header)
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

// SetDefault sets *v to def if *v is the zero value.
func SetDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}

// Must panics if err is not nil. Methods that scripts call use it for mistakes in the script, such as an unknown
// account.
func Must(err error) {
	if err != nil {
		panic("sandbox: " + err.Error())
	}
}
