-- +goose Up
-- What Instagram last told of an account's publishing limit: so many posts of so many in
-- a rolling window. Its count lags by minutes. Nobody asked yet: quota_asked_at is null.
ALTER TABLE instagram_accounts ADD COLUMN quota_used INT NOT NULL DEFAULT 0;
ALTER TABLE instagram_accounts ADD COLUMN quota_total INT NOT NULL DEFAULT 0;
ALTER TABLE instagram_accounts ADD COLUMN quota_window_seconds INT NOT NULL DEFAULT 0;
ALTER TABLE instagram_accounts ADD COLUMN quota_asked_at TIMESTAMPTZ;

-- +goose Down
ALTER TABLE instagram_accounts DROP COLUMN quota_asked_at;
ALTER TABLE instagram_accounts DROP COLUMN quota_window_seconds;
ALTER TABLE instagram_accounts DROP COLUMN quota_total;
ALTER TABLE instagram_accounts DROP COLUMN quota_used;
