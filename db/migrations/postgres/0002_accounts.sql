-- +goose Up
-- Hosts to which an app's users may be redirected after they connected an account.
CREATE TABLE return_hosts (
    app_id     INT          NOT NULL REFERENCES apps (id),
    host       VARCHAR(255) NOT NULL,
    created_at TIMESTAMPTZ  NOT NULL,
    PRIMARY KEY (app_id, host)
);

ALTER TABLE oauth_accounts
    ADD COLUMN display_name        VARCHAR(255) NOT NULL DEFAULT '',
    ADD COLUMN picture_url         TEXT         NOT NULL DEFAULT '',
    ADD COLUMN status_reason       TEXT         NOT NULL DEFAULT '',
    ADD COLUMN connected_at        TIMESTAMPTZ,
    ADD COLUMN reconnect_by        TIMESTAMPTZ,
    ADD COLUMN refreshed_at        TIMESTAMPTZ,
    ADD COLUMN asked_at            TIMESTAMPTZ,
    ADD COLUMN upkeep_at           TIMESTAMPTZ,
    ADD COLUMN refresh_fence       BIGINT       NOT NULL DEFAULT 0,
    ADD COLUMN refresh_lease_until TIMESTAMPTZ,
    ADD COLUMN refresh_unsettled   BOOLEAN      NOT NULL DEFAULT FALSE,
    ADD COLUMN refresh_failures    INT          NOT NULL DEFAULT 0,
    ADD COLUMN deletion_code       VARCHAR(64);
UPDATE oauth_accounts SET connected_at = created_at;
UPDATE oauth_accounts SET upkeep_at = expires_at WHERE refresh_token IS NOT NULL;

ALTER TABLE instagram_accounts
    ADD COLUMN page_id       VARCHAR(64) NOT NULL DEFAULT '',
    ADD COLUMN status_reason TEXT        NOT NULL DEFAULT '';

-- The Pages of a Facebook login at its last consent. reason says why nothing can be published
-- through a Page.
CREATE TABLE facebook_pages (
    oauth_account_id     INT          NOT NULL REFERENCES oauth_accounts (id),
    page_id              VARCHAR(64)  NOT NULL,
    name                 VARCHAR(255) NOT NULL DEFAULT '',
    instagram_account_id INT REFERENCES instagram_accounts (id),
    reason               VARCHAR(50)  NOT NULL DEFAULT '',
    PRIMARY KEY (oauth_account_id, page_id)
);

-- Requests to delete a person's data. They hold no personal data.
CREATE TABLE data_deletions (
    code         VARCHAR(64) PRIMARY KEY,
    requested_at TIMESTAMPTZ NOT NULL,
    completed_at TIMESTAMPTZ
);

CREATE INDEX oauth_accounts_upkeep ON oauth_accounts (upkeep_at) WHERE upkeep_at IS NOT NULL;
CREATE INDEX oauth_accounts_external ON oauth_accounts (provider, provider_account_id);
CREATE INDEX oauth_accounts_deletion ON oauth_accounts (deletion_code) WHERE deletion_code IS NOT NULL;
CREATE INDEX instagram_accounts_login ON instagram_accounts (oauth_account_id);
CREATE INDEX instagram_accounts_user ON instagram_accounts (user_id);
CREATE INDEX facebook_pages_account ON facebook_pages (instagram_account_id);
CREATE INDEX tiktok_posts_account ON tiktok_posts (oauth_account_id);
CREATE INDEX ig_media_account ON ig_media (instagram_account_id);

-- +goose Down
DROP INDEX ig_media_account, tiktok_posts_account, instagram_accounts_user, instagram_accounts_login,
    oauth_accounts_deletion, oauth_accounts_external, oauth_accounts_upkeep;
DROP TABLE data_deletions, facebook_pages, return_hosts;
ALTER TABLE instagram_accounts DROP COLUMN page_id, DROP COLUMN status_reason;
ALTER TABLE oauth_accounts DROP COLUMN display_name, DROP COLUMN picture_url, DROP COLUMN status_reason,
    DROP COLUMN connected_at, DROP COLUMN reconnect_by, DROP COLUMN refreshed_at, DROP COLUMN asked_at, DROP COLUMN upkeep_at,
    DROP COLUMN refresh_fence, DROP COLUMN refresh_lease_until, DROP COLUMN refresh_unsettled,
    DROP COLUMN refresh_failures, DROP COLUMN deletion_code;
