-- +goose Up
-- The webhook events of the platforms, each stored once.
CREATE TABLE webhook_events (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    platform       VARCHAR(20)  NOT NULL,
    dedupe_key     VARCHAR(64)  NOT NULL,
    name           VARCHAR(100) NOT NULL,
    account        VARCHAR(255) NOT NULL DEFAULT '',
    occurred_at    TIMESTAMP,
    payload        BLOB        NOT NULL,
    correlation_id VARCHAR(128) NOT NULL DEFAULT '',
    received_at    TIMESTAMP  NOT NULL,
    status         VARCHAR(20)  NOT NULL,
    outcome        TEXT         NOT NULL DEFAULT '',
    attempts       INT          NOT NULL DEFAULT 0,
    run_at         TIMESTAMP,
    enqueued_at    TIMESTAMP,
    fence          BIGINT       NOT NULL DEFAULT 0,
    settled_at     TIMESTAMP,
    UNIQUE (platform, dedupe_key)
);
CREATE INDEX webhook_events_pending ON webhook_events (run_at) WHERE run_at IS NOT NULL;
CREATE INDEX webhook_events_account ON webhook_events (platform, account);
CREATE INDEX webhook_events_received ON webhook_events (received_at);

-- The webhook endpoints of apps, the deliveries to them, and each attempt.
CREATE TABLE webhook_endpoints (
    id               VARCHAR(36)  PRIMARY KEY,
    app_id           INT          NOT NULL REFERENCES apps (id),
    url              TEXT         NOT NULL,
    description      TEXT         NOT NULL DEFAULT '',
    events           TEXT         NOT NULL DEFAULT '',
    secret           TEXT         NOT NULL,
    old_secret       TEXT         NOT NULL DEFAULT '',
    old_secret_until TIMESTAMP,
    status           VARCHAR(20)  NOT NULL,
    status_reason    TEXT         NOT NULL DEFAULT '',
    failures         INT          NOT NULL DEFAULT 0,
    failing_since    TIMESTAMP,
    rest_until       TIMESTAMP,
    fence            BIGINT       NOT NULL DEFAULT 0,
    lease_until      TIMESTAMP,
    created_at       TIMESTAMP  NOT NULL,
    updated_at       TIMESTAMP  NOT NULL,
    deleted_at       TIMESTAMP
);
CREATE INDEX webhook_endpoints_app ON webhook_endpoints (app_id, id) WHERE deleted_at IS NULL;

CREATE TABLE webhook_deliveries (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    endpoint_id    VARCHAR(36)  NOT NULL REFERENCES webhook_endpoints (id),
    event_id       VARCHAR(64)  NOT NULL,
    event_type     VARCHAR(50)  NOT NULL,
    subject        VARCHAR(100) NOT NULL,
    lane           VARCHAR(64)  NOT NULL DEFAULT '',
    payload        TEXT         NOT NULL,
    correlation_id VARCHAR(128) NOT NULL DEFAULT '',
    status         VARCHAR(20)  NOT NULL,
    attempts       INT          NOT NULL DEFAULT 0,
    next_at        TIMESTAMP,
    give_up_at     TIMESTAMP  NOT NULL,
    created_at     TIMESTAMP  NOT NULL,
    settled_at     TIMESTAMP
);
-- Due deliveries, and the pending deliveries of the same subject.
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, next_at, id) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_turn ON webhook_deliveries (endpoint_id, subject, id) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_endpoint ON webhook_deliveries (endpoint_id, id);
CREATE INDEX webhook_deliveries_lane ON webhook_deliveries (lane) WHERE lane <> '';
CREATE INDEX webhook_deliveries_give_up ON webhook_deliveries (give_up_at) WHERE status = 'pending';
CREATE INDEX webhook_deliveries_created ON webhook_deliveries (created_at);

CREATE TABLE webhook_attempts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    delivery_id BIGINT      NOT NULL REFERENCES webhook_deliveries (id) ON DELETE CASCADE,
    at          TIMESTAMP NOT NULL,
    duration_ms BIGINT      NOT NULL,
    status_code INT         NOT NULL DEFAULT 0,
    error       TEXT        NOT NULL DEFAULT '',
    response    TEXT        NOT NULL DEFAULT ''
);
CREATE INDEX webhook_attempts_delivery ON webhook_attempts (delivery_id, id);

CREATE TABLE instagram_comments (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT,
    instagram_account_id INT          NOT NULL REFERENCES instagram_accounts (id),
    ig_comment_id        VARCHAR(255) NOT NULL UNIQUE,
    ig_media_id          VARCHAR(255),
    parent_id            VARCHAR(255),
    from_id              VARCHAR(255) NOT NULL DEFAULT '',
    username             VARCHAR(255) NOT NULL DEFAULT '',
    text                 TEXT         NOT NULL DEFAULT '',
    own                  BOOLEAN      NOT NULL DEFAULT FALSE,
    timestamp            TIMESTAMP,
    created_at           TIMESTAMP  NOT NULL
);
CREATE INDEX instagram_comments_account ON instagram_comments (instagram_account_id);

-- Whether it is a post of this system, or one known only from a platform's event.
ALTER TABLE ig_media ADD COLUMN ours BOOLEAN NOT NULL DEFAULT TRUE;
-- The deferral reason that was last reported to the app.
ALTER TABLE posts ADD COLUMN deferral_told VARCHAR(50) NOT NULL DEFAULT '';
-- The post that an upload belongs to, and whether TikTok says that it is public.
ALTER TABLE tiktok_posts ADD COLUMN post_id VARCHAR(36);
ALTER TABLE tiktok_posts ADD COLUMN publicly_available BOOLEAN;
ALTER TABLE tiktok_posts ADD COLUMN availability_at TIMESTAMP;

-- +goose Down
ALTER TABLE tiktok_posts DROP COLUMN post_id;
ALTER TABLE tiktok_posts DROP COLUMN publicly_available;
ALTER TABLE tiktok_posts DROP COLUMN availability_at;
ALTER TABLE posts DROP COLUMN deferral_told;
ALTER TABLE ig_media DROP COLUMN ours;
DROP TABLE instagram_comments;
DROP TABLE webhook_attempts;
DROP TABLE webhook_deliveries;
DROP TABLE webhook_endpoints;
DROP TABLE webhook_events;
