-- +goose Up
-- The platforms and lanes that operators paused.
CREATE TABLE pauses (
    scope      VARCHAR(64)  PRIMARY KEY,
    reason     TEXT         NOT NULL DEFAULT '',
    paused_by  VARCHAR(100) NOT NULL,
    created_at TIMESTAMPTZ  NOT NULL
);
-- Indexes for the lists of operators, which cover all apps.
CREATE INDEX posts_status ON posts (status, id);
-- The trace of the request that created the post (W3C Trace Context).
ALTER TABLE posts ADD COLUMN trace_parent VARCHAR(64) NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE posts DROP COLUMN trace_parent;
DROP INDEX posts_status;
DROP TABLE pauses;
