-- +goose Up
-- The files of posts that have to be fetched from a customer's link, and those that cannot
-- be: then due_at is null and error says why. A file that was fetched has no row.
CREATE TABLE fetches (
    post_id     VARCHAR(36)   NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    position    INT           NOT NULL,
    app_id      INT           NOT NULL,
    due_at      TIMESTAMPTZ,
    attempts    INT           NOT NULL DEFAULT 0,
    fence       BIGINT        NOT NULL DEFAULT 0,
    lease_until TIMESTAMPTZ,
    error       VARCHAR(2000) NOT NULL DEFAULT '',
    PRIMARY KEY (post_id, position)
);
CREATE INDEX fetches_due ON fetches (app_id, due_at) WHERE due_at IS NOT NULL;

-- +goose Down
DROP TABLE fetches;
