-- +goose Up
-- Hosts to which an app's users may be redirected after they connected an account.
CREATE TABLE return_hosts (
    app_id     INT          NOT NULL REFERENCES apps (id),
    host       VARCHAR(255) NOT NULL,
    created_at TIMESTAMP    NOT NULL,
    PRIMARY KEY (app_id, host)
);

ALTER TABLE oauth_accounts ADD COLUMN display_name VARCHAR(255) NOT NULL DEFAULT '';
ALTER TABLE oauth_accounts ADD COLUMN picture_url TEXT NOT NULL DEFAULT '';
ALTER TABLE oauth_accounts ADD COLUMN status_reason TEXT NOT NULL DEFAULT '';
ALTER TABLE oauth_accounts ADD COLUMN connected_at TIMESTAMP;
ALTER TABLE oauth_accounts ADD COLUMN reconnect_by TIMESTAMP;
ALTER TABLE oauth_accounts ADD COLUMN refreshed_at TIMESTAMP;
ALTER TABLE oauth_accounts ADD COLUMN asked_at TIMESTAMP;
ALTER TABLE oauth_accounts ADD COLUMN upkeep_at TIMESTAMP;
ALTER TABLE oauth_accounts ADD COLUMN refresh_fence BIGINT NOT NULL DEFAULT 0;
ALTER TABLE oauth_accounts ADD COLUMN refresh_lease_until TIMESTAMP;
ALTER TABLE oauth_accounts ADD COLUMN refresh_unsettled BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE oauth_accounts ADD COLUMN refresh_failures INT NOT NULL DEFAULT 0;
ALTER TABLE oauth_accounts ADD COLUMN deletion_code VARCHAR(64);
UPDATE oauth_accounts SET connected_at = created_at;
UPDATE oauth_accounts SET upkeep_at = expires_at WHERE refresh_token IS NOT NULL;

ALTER TABLE instagram_accounts ADD COLUMN page_id VARCHAR(64) NOT NULL DEFAULT '';
ALTER TABLE instagram_accounts ADD COLUMN status_reason TEXT NOT NULL DEFAULT '';

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
    requested_at TIMESTAMP   NOT NULL,
    completed_at TIMESTAMP
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
DROP INDEX ig_media_account;
DROP INDEX tiktok_posts_account;
DROP INDEX instagram_accounts_user;
DROP INDEX instagram_accounts_login;
DROP INDEX oauth_accounts_deletion;
DROP INDEX oauth_accounts_external;
DROP INDEX oauth_accounts_upkeep;
DROP TABLE data_deletions;
DROP TABLE facebook_pages;
DROP TABLE return_hosts;
ALTER TABLE instagram_accounts DROP COLUMN page_id;
ALTER TABLE instagram_accounts DROP COLUMN status_reason;
ALTER TABLE oauth_accounts DROP COLUMN display_name;
ALTER TABLE oauth_accounts DROP COLUMN picture_url;
ALTER TABLE oauth_accounts DROP COLUMN status_reason;
ALTER TABLE oauth_accounts DROP COLUMN connected_at;
ALTER TABLE oauth_accounts DROP COLUMN reconnect_by;
ALTER TABLE oauth_accounts DROP COLUMN refreshed_at;
ALTER TABLE oauth_accounts DROP COLUMN asked_at;
ALTER TABLE oauth_accounts DROP COLUMN upkeep_at;
ALTER TABLE oauth_accounts DROP COLUMN refresh_fence;
ALTER TABLE oauth_accounts DROP COLUMN refresh_lease_until;
ALTER TABLE oauth_accounts DROP COLUMN refresh_unsettled;
ALTER TABLE oauth_accounts DROP COLUMN refresh_failures;
ALTER TABLE oauth_accounts DROP COLUMN deletion_code;
