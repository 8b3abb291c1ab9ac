-- +goose Up
-- The platform fetches the file from the customer's link itself. The previous release fetches
-- it, and uploads it if it runs the post too; a post that it only fetched for fails here.
ALTER TABLE post_media ADD COLUMN pulled BOOLEAN NOT NULL DEFAULT FALSE;

-- +goose Down
ALTER TABLE post_media DROP COLUMN pulled;
