package notify

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"socialqueue/egress"
	"socialqueue/models"
	"socialqueue/secrets"
)

const (
	// callTimeout bounds one try: to connect, to send, and to be answered.
	callTimeout = 15 * time.Second
	// maxResponse is how much of an answer is kept, in bytes.
	maxResponse = 4 << 10
	// idleFor is how long a connection is kept for the next call, and maxIdle how many
	// are, whatever the number of endpoints.
	idleFor = 30 * time.Second
	maxIdle = 256
	// maxRetryAfter bounds what an endpoint may ask us to wait.
	maxRetryAfter = 24 * time.Hour
)

// sender makes the calls.
type sender struct {
	// It is no http.Client: that one follows redirects, and quotes URLs in errors.
	transport *http.Transport
	timeout   time.Duration
}

func newSender(guard *egress.Guard) *sender {
	transport := guard.Transport(callTimeout)
	transport.IdleConnTimeout = idleFor
	transport.MaxIdleConnsPerHost, transport.MaxIdleConns = sideBySide, maxIdle
	transport.DisableCompression = true // the beginning of the answer is kept as it is
	return &sender{transport, callTimeout}
}

// answer is what came of one try.
type answer struct {
	// status is 0 if there was no answer.
	status     int
	body       string
	retryAfter time.Duration
	// err says why it failed; nil if it did not.
	err error
}

// send makes one try. The secrets sign it, each on its own.
func (s *sender) send(ctx context.Context, url string, d *models.WebhookDelivery, keys []secrets.Secret, now time.Time) answer {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := newCall(ctx, url, d, keys, now)
	if err != nil {
		return answer{err: err}
	}
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return answer{err: s.plainly(ctx, err)}
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, retryAfter: retryAfter(resp.Header.Get("Retry-After"), now)}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	a.body = text(raw)
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		// The answer is in the status; that its body broke off changes nothing.
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		a.err = fmt.Errorf("answered %d; redirects are not followed", resp.StatusCode)
	case err != nil:
		a.err = fmt.Errorf("answered %d: %w", resp.StatusCode, s.plainly(ctx, err))
	default:
		a.err = fmt.Errorf("answered %d", resp.StatusCode)
	}
	return a
}

func newCall(ctx context.Context, url string, d *models.WebhookDelivery, keys []secrets.Secret, now time.Time) (*http.Request, error) {
	signatures, err := sign(d, keys, now)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(d.Payload))
	if err != nil {
		return nil, errors.New("its address is not usable") // the error would quote it
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "socialqueue")
	req.Header.Set(standardwebhooks.HeaderWebhookID, d.EventID)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signatures)
	if d.CorrelationID != "" {
		req.Header.Set("X-Request-ID", d.CorrelationID)
	}
	return req, nil
}

// sign gives the signatures of a delivery, with blanks between them.
func sign(d *models.WebhookDelivery, keys []secrets.Secret, now time.Time) (string, error) {
	signatures := make([]string, len(keys))
	for i, key := range keys {
		signer, err := standardwebhooks.NewWebhook(key.Reveal())
		if err == nil {
			signatures[i], err = signer.Sign(d.EventID, now, []byte(d.Payload))
		}
		if err != nil {
			return "", errors.New("its secret cannot sign") // the error would quote it
		}
	}
	return strings.Join(signatures, " "), nil
}

// plainly says why there was no answer, without the addresses of our own network.
func (s *sender) plainly(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", s.timeout)
	}
	if cause := egress.Cause(err); errors.Is(cause, egress.ErrPrivateHost) {
		return cause
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return errors.New("its host name is not known")
		}
		return errors.New("its host name could not be looked up")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// retryAfter reads the header of that name: seconds, or a time (RFC 9110).
func retryAfter(header string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		wait = time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// text makes an answer one that every database keeps.
func text(raw []byte) string {
	return strings.ToValidUTF8(strings.ReplaceAll(string(raw), "\x00", ""), "\uFFFD")
}
