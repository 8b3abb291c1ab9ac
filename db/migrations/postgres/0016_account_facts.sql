-- +goose Up
-- The place of an account's posts that name none, and when it was last refused a trial reel.
ALTER TABLE instagram_accounts ADD COLUMN default_location_id VARCHAR(32) NOT NULL DEFAULT '';
ALTER TABLE instagram_accounts ADD COLUMN trials_refused_at TIMESTAMPTZ;

-- +goose Down
ALTER TABLE instagram_accounts DROP COLUMN trials_refused_at;
ALTER TABLE instagram_accounts DROP COLUMN default_location_id;
