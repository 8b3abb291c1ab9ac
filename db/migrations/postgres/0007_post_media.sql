-- +goose Up
-- The files of a post, in order. For one more release the first file is also written to the
-- columns media_id and source_url of posts: the previous release reads and writes only those,
-- and the posts that it stores have no rows here.
CREATE TABLE post_media (
    id         BIGSERIAL PRIMARY KEY,
    -- The previous release deletes posts and does not know this table.
    post_id    VARCHAR(36) NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    position   INT         NOT NULL,
    -- Prevents the previous release from deleting a file that a post needs.
    media_id   VARCHAR(36) REFERENCES media (id),
    source_url TEXT        NOT NULL DEFAULT '',
    alt_text   TEXT        NOT NULL DEFAULT '',
    UNIQUE (post_id, position)
);
CREATE INDEX post_media_media ON post_media (media_id) WHERE media_id IS NOT NULL;

-- +goose Down
DROP TABLE post_media;
