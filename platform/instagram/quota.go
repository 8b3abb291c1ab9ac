package instagram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"socialqueue/platform/wire"
	"socialqueue/secrets"
)

const opQuota = "instagram.quota"

// Quota is how many posts the account made in the rolling window. Used lags by minutes
// (seen in the field, 2026-09), so the caller needs its own count too.
type Quota struct {
	Used, Total int
	Window      time.Duration
}

// Quota reads the account's publishing limit. Pages and accounts differ (50 or 100 in 24
// h), so the total in the answer counts.
func (c *Client) Quota(ctx context.Context, token secrets.Secret, igID string) (Quota, error) {
	var q Quota
	query := url.Values{"fields": {"quota_usage,config"}}
	err := c.get(ctx, opQuota, token, []string{igID, "content_publishing_limit"}, query, func(body []byte) (err error) {
		q, err = parseQuota(body)
		return err
	})
	return q, err
}

type quotaFields struct {
	Used   *wire.Scalar `json:"quota_usage"`
	Config *struct {
		Total    wire.Scalar `json:"quota_total"`
		Duration wire.Scalar `json:"quota_duration"`
	} `json:"config"`
}

// parseQuota accepts both formats: data[0], and top-level fields as one project reads them
// on the Instagram host. An answer without a total is an error, because a total of 0 would
// stop the account.
func parseQuota(body []byte) (Quota, error) {
	var a struct {
		Data []quotaFields `json:"data"`
		quotaFields
	}
	if err := json.Unmarshal(body, &a); err != nil {
		return Quota{}, fmt.Errorf("read quota: %w", err)
	}
	f := a.quotaFields
	if len(a.Data) > 0 {
		f = a.Data[0]
	}
	if f.Used == nil || f.Config == nil || f.Config.Total.Number() <= 0 {
		return Quota{}, errors.New("answer without a quota")
	}
	q := Quota{Used: int(max(0, f.Used.Number())), Total: int(f.Config.Total.Number()), Window: 24 * time.Hour}
	if s := f.Config.Duration.Number(); s > 0 && s <= int64((30*24*time.Hour)/time.Second) {
		q.Window = time.Duration(s) * time.Second
	}
	return q, nil
}
