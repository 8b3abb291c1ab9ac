-- +goose Up
-- Which calls to platforms fail for post after post. Rows of calls that succeed again are deleted.
CREATE TABLE breakers (
    name       VARCHAR(120) PRIMARY KEY,
    platform   VARCHAR(20) NOT NULL,
    op         VARCHAR(100) NOT NULL,
    posts      TEXT NOT NULL,
    message    VARCHAR(200) NOT NULL,
    failed_at  TIMESTAMPTZ NOT NULL,
    opened_at  TIMESTAMPTZ,
    probe_at   TIMESTAMPTZ,
    probes     INT NOT NULL DEFAULT 0,
    probe_lane VARCHAR(64) NOT NULL DEFAULT ''
);

-- +goose Down
DROP TABLE breakers;
