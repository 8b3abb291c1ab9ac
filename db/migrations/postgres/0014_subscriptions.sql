-- +goose Up
-- Whether the app is subscribed to the webhooks of a Page. While it is not, subscription_error
-- says why, and subscribe_at when it is tried again; null is at once, as in the rows of the
-- previous release, which does not know these columns.
ALTER TABLE facebook_pages ADD COLUMN subscribed_at TIMESTAMPTZ;
ALTER TABLE facebook_pages ADD COLUMN subscribe_at TIMESTAMPTZ;
ALTER TABLE facebook_pages ADD COLUMN subscription_error VARCHAR(500) NOT NULL DEFAULT '';
CREATE INDEX facebook_pages_unsubscribed ON facebook_pages (subscribe_at) WHERE subscribed_at IS NULL AND instagram_account_id IS NOT NULL;

-- +goose Down
DROP INDEX facebook_pages_unsubscribed;
ALTER TABLE facebook_pages DROP COLUMN subscription_error;
ALTER TABLE facebook_pages DROP COLUMN subscribe_at;
ALTER TABLE facebook_pages DROP COLUMN subscribed_at;
