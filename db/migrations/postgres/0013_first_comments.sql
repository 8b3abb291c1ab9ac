-- +goose Up
-- The comments that apps want under their own posts, from the moment a post is live.
CREATE TABLE first_comments (
    post_id     VARCHAR(36)   NOT NULL PRIMARY KEY REFERENCES posts (id) ON DELETE CASCADE,
    app_id      INT           NOT NULL,
    status      VARCHAR(20)   NOT NULL,
    due_at      TIMESTAMPTZ,
    calls       INT           NOT NULL DEFAULT 0,
    sent_at     TIMESTAMPTZ,
    refused     BOOLEAN       NOT NULL DEFAULT FALSE,
    comment_id  VARCHAR(255),
    error       VARCHAR(2000) NOT NULL DEFAULT '',
    fence       BIGINT        NOT NULL DEFAULT 0,
    lease_until TIMESTAMPTZ,
    created_at  TIMESTAMPTZ   NOT NULL
);
CREATE INDEX first_comments_due ON first_comments (app_id, due_at) WHERE due_at IS NOT NULL;

-- +goose Down
DROP TABLE first_comments;
