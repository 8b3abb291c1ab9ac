-- +goose Up
-- What operators keep back: a platform, or a lane.
CREATE TABLE pauses (
    scope      VARCHAR(64)  PRIMARY KEY,
    reason     TEXT         NOT NULL DEFAULT '',
    paused_by  VARCHAR(100) NOT NULL,
    created_at TIMESTAMP  NOT NULL
);
-- What operators list, of all apps.
CREATE INDEX posts_status ON posts (status, id);
-- The trace that the accepting of a post belongs to (W3C Trace Context).
ALTER TABLE posts ADD COLUMN trace_parent VARCHAR(64) NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE posts DROP COLUMN trace_parent;
DROP INDEX posts_status;
DROP TABLE pauses;
