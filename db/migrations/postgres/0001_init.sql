-- +goose Up
CREATE TABLE apps (
    id         SERIAL PRIMARY KEY,
    name       VARCHAR(255) NOT NULL,
    created_at TIMESTAMPTZ  NOT NULL
);

CREATE TABLE api_keys (
    id           SERIAL PRIMARY KEY,
    app_id       INT         NOT NULL REFERENCES apps (id),
    prefix       VARCHAR(32) NOT NULL UNIQUE,
    hash         BYTEA       NOT NULL,
    created_at   TIMESTAMPTZ NOT NULL,
    last_used_at TIMESTAMPTZ,
    revoked_at   TIMESTAMPTZ
);

CREATE TABLE users (
    id          SERIAL PRIMARY KEY,
    app_id      INT          NOT NULL REFERENCES apps (id),
    external_id VARCHAR(255) NOT NULL,
    email       VARCHAR(320),
    created_at  TIMESTAMPTZ  NOT NULL,
    updated_at  TIMESTAMPTZ  NOT NULL,
    UNIQUE (app_id, external_id)
);

-- The next four tables have the columns and constraints of the original guide. The columns
-- after the blank line are additions.
CREATE TABLE oauth_accounts (
    id                  SERIAL PRIMARY KEY,
    user_id             INT          NOT NULL REFERENCES users (id),
    provider            VARCHAR(50)  NOT NULL,
    provider_account_id VARCHAR(255) NOT NULL,
    access_token        TEXT         NOT NULL,
    refresh_token       TEXT,
    expires_at          TIMESTAMP,
    scope               TEXT,
    token_type          VARCHAR(50) DEFAULT 'Bearer',
    created_at          TIMESTAMP   DEFAULT NOW(),
    updated_at          TIMESTAMP   DEFAULT NOW(),

    username            VARCHAR(255) NOT NULL DEFAULT '',
    status              VARCHAR(50)  NOT NULL DEFAULT 'active',
    UNIQUE (user_id, provider, provider_account_id)
);

CREATE TABLE tiktok_posts (
    id                   SERIAL PRIMARY KEY,
    user_id              INT          NOT NULL REFERENCES users (id),
    oauth_account_id     INT          NOT NULL REFERENCES oauth_accounts (id),
    publish_id           VARCHAR(255) NOT NULL UNIQUE,
    video_id             VARCHAR(255),
    status               VARCHAR(50)  NOT NULL,
    title                TEXT,
    privacy_level        VARCHAR(50),
    disable_duet         BOOLEAN   DEFAULT FALSE,
    disable_comment      BOOLEAN   DEFAULT FALSE,
    disable_stitch       BOOLEAN   DEFAULT FALSE,
    brand_content_toggle BOOLEAN   DEFAULT FALSE,
    brand_organic_toggle BOOLEAN   DEFAULT FALSE,
    created_at           TIMESTAMP DEFAULT NOW(),
    updated_at           TIMESTAMP DEFAULT NOW()
);

CREATE TABLE instagram_accounts (
    id                  SERIAL PRIMARY KEY,
    user_id             INT          NOT NULL REFERENCES users (id),
    oauth_account_id    INT          NOT NULL REFERENCES oauth_accounts (id),
    ig_business_id      VARCHAR(255) NOT NULL UNIQUE,
    username            VARCHAR(255),
    name                VARCHAR(255),
    profile_picture_url TEXT,
    followers_count     INT       DEFAULT 0,
    media_count         INT       DEFAULT 0,
    account_type        VARCHAR(50),
    created_at          TIMESTAMP DEFAULT NOW(),
    updated_at          TIMESTAMP DEFAULT NOW(),

    access_token        TEXT        NOT NULL DEFAULT '',
    status              VARCHAR(50) NOT NULL DEFAULT 'active'
);

CREATE TABLE ig_media (
    id                   SERIAL PRIMARY KEY,
    instagram_account_id INT          NOT NULL REFERENCES instagram_accounts (id),
    ig_id                VARCHAR(255) NOT NULL UNIQUE,
    media_type           VARCHAR(50),
    media_url            TEXT,
    permalink            TEXT,
    caption              TEXT,
    timestamp            TIMESTAMP,
    like_count           INT       DEFAULT 0,
    comments_count       INT       DEFAULT 0,
    metrics_json         JSONB,
    created_at           TIMESTAMP DEFAULT NOW(),
    updated_at           TIMESTAMP DEFAULT NOW()
);

CREATE TABLE media (
    id           VARCHAR(36)  PRIMARY KEY,
    app_id       INT          NOT NULL REFERENCES apps (id),
    bytes        BIGINT       NOT NULL,
    content_type VARCHAR(100) NOT NULL,
    sha256       CHAR(64)     NOT NULL,
    duration_ms  BIGINT       NOT NULL DEFAULT 0,
    width        INT          NOT NULL DEFAULT 0,
    height       INT          NOT NULL DEFAULT 0,
    created_at   TIMESTAMPTZ  NOT NULL
);
CREATE INDEX media_created ON media (created_at);

CREATE TABLE posts (
    id                   VARCHAR(36)  PRIMARY KEY,
    app_id               INT          NOT NULL REFERENCES apps (id),
    user_id              INT          NOT NULL REFERENCES users (id),
    platform             VARCHAR(20)  NOT NULL,
    oauth_account_id     INT          NOT NULL REFERENCES oauth_accounts (id),
    instagram_account_id INT          REFERENCES instagram_accounts (id),
    kind                 VARCHAR(20)  NOT NULL,
    group_id             VARCHAR(36),
    content              JSONB        NOT NULL,
    source_url           TEXT         NOT NULL DEFAULT '',
    publish_at           TIMESTAMPTZ  NOT NULL,
    max_lateness_ms      BIGINT,
    correlation_id       VARCHAR(128) NOT NULL DEFAULT '',
    created_at           TIMESTAMPTZ  NOT NULL,
    lane                 VARCHAR(64)  NOT NULL,
    status               VARCHAR(20)  NOT NULL,
    step                 VARCHAR(20)  NOT NULL,
    media_id             VARCHAR(36) REFERENCES media (id),
    admission            VARCHAR(20)  NOT NULL DEFAULT '',
    run_at               TIMESTAMPTZ,
    enqueued_at          TIMESTAMPTZ,
    fence                BIGINT       NOT NULL DEFAULT 0,
    lease_until          TIMESTAMPTZ,
    lease_owner          VARCHAR(128) NOT NULL DEFAULT '',
    attempts             INT          NOT NULL DEFAULT 0,
    unfinished_runs      INT          NOT NULL DEFAULT 0,
    looks                INT          NOT NULL DEFAULT 0,
    miss_at              TIMESTAMPTZ,
    waiting_since        TIMESTAMPTZ,
    deferred_until       TIMESTAMPTZ,
    deferred_reason      VARCHAR(50)  NOT NULL DEFAULT '',
    publish_id           VARCHAR(255),
    container_id         VARCHAR(255),
    platform_post_id     VARCHAR(255),
    permalink            TEXT,
    error_code           VARCHAR(50)  NOT NULL DEFAULT '',
    error_message        TEXT         NOT NULL DEFAULT '',
    started_at           TIMESTAMPTZ,
    published_at         TIMESTAMPTZ,
    updated_at           TIMESTAMPTZ  NOT NULL
);
-- Posts that wait for their time, posts that wait for their lane, and posts that should be in Asynq.
CREATE INDEX posts_waiting ON posts (run_at, id) WHERE admission = 'waiting';
CREATE INDEX posts_parked ON posts (lane, run_at, id) WHERE admission = 'parked';
CREATE INDEX posts_admitted_lane ON posts (lane, run_at) WHERE admission = 'admitted';
-- The condition on the fence is always true. It prevents Postgres from using this index, which
-- holds the posts of all lanes, for queries about one lane: while the statistics say that the
-- table is small, Postgres would consider it as good as the lane's own index.
CREATE INDEX posts_admitted_seen ON posts (enqueued_at) WHERE admission = 'admitted' AND fence >= 0;
CREATE INDEX posts_scheduled ON posts (run_at) WHERE status = 'scheduled';
CREATE INDEX posts_miss ON posts (miss_at) WHERE miss_at IS NOT NULL AND status IN ('scheduled', 'queued');
-- Indexes for lists and lookups of the API.
CREATE INDEX posts_app ON posts (app_id, id);
CREATE INDEX posts_app_status ON posts (app_id, status, id);
CREATE INDEX posts_lane ON posts (lane, id);
CREATE INDEX posts_group ON posts (group_id) WHERE group_id IS NOT NULL;
CREATE INDEX posts_publish_id ON posts (publish_id) WHERE publish_id IS NOT NULL;
CREATE INDEX posts_media ON posts (media_id) WHERE media_id IS NOT NULL;

CREATE TABLE ledger (
    id          BIGSERIAL PRIMARY KEY,
    post_id     VARCHAR(36) NOT NULL REFERENCES posts (id),
    op          VARCHAR(50) NOT NULL,
    state       VARCHAR(20) NOT NULL,
    fence       BIGINT      NOT NULL,
    external_id VARCHAR(255),
    sealed_url  TEXT        NOT NULL DEFAULT '',
    created_at  TIMESTAMPTZ NOT NULL,
    settled_at  TIMESTAMPTZ
);
CREATE INDEX ledger_post ON ledger (post_id, id);

CREATE TABLE post_events (
    id            BIGSERIAL PRIMARY KEY,
    post_id       VARCHAR(36) NOT NULL REFERENCES posts (id),
    at            TIMESTAMPTZ NOT NULL,
    type          VARCHAR(20) NOT NULL,
    from_status   VARCHAR(20) NOT NULL DEFAULT '',
    to_status     VARCHAR(20) NOT NULL DEFAULT '',
    op            VARCHAR(50) NOT NULL DEFAULT '',
    http_status   INT         NOT NULL DEFAULT 0,
    platform_code TEXT        NOT NULL DEFAULT '',
    log_id        TEXT        NOT NULL DEFAULT '',
    duration_ms   BIGINT      NOT NULL DEFAULT 0,
    message       TEXT        NOT NULL DEFAULT '',
    fence         BIGINT      NOT NULL DEFAULT 0
);
CREATE INDEX post_events_post ON post_events (post_id, id);

CREATE TABLE idempotency_keys (
    app_id          INT          NOT NULL REFERENCES apps (id),
    key             VARCHAR(255) NOT NULL,
    request         VARCHAR(255) NOT NULL,
    body_hash       VARCHAR(64)  NOT NULL,
    owner           VARCHAR(36)  NOT NULL,
    locked_until    TIMESTAMPTZ  NOT NULL,
    response_status INT          NOT NULL DEFAULT 0,
    response_body   TEXT         NOT NULL DEFAULT '',
    post_id         VARCHAR(36),
    created_at      TIMESTAMPTZ  NOT NULL,
    PRIMARY KEY (app_id, key)
);
CREATE INDEX idempotency_keys_expiry ON idempotency_keys (created_at) WHERE post_id IS NULL;

-- +goose Down
DROP TABLE idempotency_keys, post_events, ledger, posts, media, ig_media, instagram_accounts,
    tiktok_posts, oauth_accounts, users, api_keys, apps;
