-- +goose Up
-- An account's publishing limit as Instagram last reported it: used and total posts in a
-- rolling window. Instagram's count lags by minutes. quota_asked_at is null if it was never read.
ALTER TABLE instagram_accounts ADD COLUMN quota_used INT NOT NULL DEFAULT 0;
ALTER TABLE instagram_accounts ADD COLUMN quota_total INT NOT NULL DEFAULT 0;
ALTER TABLE instagram_accounts ADD COLUMN quota_window_seconds INT NOT NULL DEFAULT 0;
ALTER TABLE instagram_accounts ADD COLUMN quota_asked_at TIMESTAMP;

-- +goose Down
ALTER TABLE instagram_accounts DROP COLUMN quota_asked_at;
ALTER TABLE instagram_accounts DROP COLUMN quota_window_seconds;
ALTER TABLE instagram_accounts DROP COLUMN quota_total;
ALTER TABLE instagram_accounts DROP COLUMN quota_used;
