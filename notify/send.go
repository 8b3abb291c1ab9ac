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
	// callTimeout limits one attempt: connecting, sending and reading the answer.
	callTimeout = 15 * time.Second
	// maxResponse is how much of an answer is stored, in bytes.
	maxResponse = 4 << 10
	// idleFor is how long an idle connection stays open, and maxIdle how many do, whatever
	// the number of endpoints.
	idleFor = 30 * time.Second
	maxIdle = 256
	// maxRetryAfter limits the Retry-After of an endpoint.
	maxRetryAfter = 24 * time.Hour
)

// sender makes the calls.
type sender struct {
	// A transport, not an http.Client, which follows redirects and quotes URLs in errors.
	transport Transport
	timeout   time.Duration
}

// guarded makes a transport that reaches only where endpoints may be.
func guarded(guard *egress.Guard) *http.Transport {
	transport := guard.Transport(callTimeout)
	transport.IdleConnTimeout = idleFor
	transport.MaxIdleConnsPerHost, transport.MaxIdleConns = parallel, maxIdle
	transport.DisableCompression = true // store the beginning of the answer as it was sent
	return transport
}

// answer is the result of one attempt.
type answer struct {
	// status is 0 if there was no answer.
	status     int
	body       string
	retryAfter time.Duration
	// err says why the attempt failed; nil if it succeeded.
	err error
}

// send makes one attempt, signed with each of the secrets.
func (s *sender) send(ctx context.Context, url string, d *models.WebhookDelivery, keys []secrets.Secret, now time.Time) answer {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	req, err := newCall(ctx, url, d, keys, now)
	if err != nil {
		return answer{err: err}
	}
	resp, err := s.transport.RoundTrip(req)
	if err != nil {
		return answer{err: s.safeError(ctx, err)}
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, retryAfter: retryAfter(resp.Header.Get("Retry-After"), now)}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	a.body = text(raw)
	switch {
	case resp.StatusCode >= 200 && resp.StatusCode < 300:
		// The status is the answer; a body that broke off changes nothing.
	case resp.StatusCode >= 300 && resp.StatusCode < 400:
		a.err = fmt.Errorf("answered %d; redirects are not followed", resp.StatusCode)
	case err != nil:
		a.err = fmt.Errorf("answered %d: %w", resp.StatusCode, s.safeError(ctx, err))
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
		return nil, errors.New("the endpoint has an invalid address") // the error would quote it
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

// sign returns the signatures of a delivery, separated by spaces.
func sign(d *models.WebhookDelivery, keys []secrets.Secret, now time.Time) (string, error) {
	signatures := make([]string, len(keys))
	for i, key := range keys {
		signer, err := standardwebhooks.NewWebhook(key.Reveal())
		if err == nil {
			signatures[i], err = signer.Sign(d.EventID, now, []byte(d.Payload))
		}
		if err != nil {
			return "", errors.New("the endpoint's secret is invalid") // the error would quote it
		}
	}
	return strings.Join(signatures, " "), nil
}

// safeError returns why there was no answer, without addresses of our own network.
func (s *sender) safeError(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("no answer within %s", s.timeout)
	}
	if cause := egress.Cause(err); errors.Is(cause, egress.ErrPrivateHost) {
		return cause
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		if dns.IsNotFound {
			return errors.New("unknown host name")
		}
		return errors.New("cannot look up the host name")
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// retryAfter parses a Retry-After header: seconds, or a time (RFC 9110).
func retryAfter(header string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil || errors.Is(err, strconv.ErrRange) {
		wait = time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second))) * time.Second
	} else if at, err := http.ParseTime(header); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxRetryAfter)
}

// text makes an answer valid text for every database.
func text(raw []byte) string {
	return strings.ToValidUTF8(strings.ReplaceAll(string(raw), "\x00", ""), "\uFFFD")
}
