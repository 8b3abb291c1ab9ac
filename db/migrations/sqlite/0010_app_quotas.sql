-- +goose Up
-- What an operator allows an app beyond or below the defaults.
CREATE TABLE app_quotas (
    app_id INT         NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
    name   VARCHAR(50) NOT NULL,
    most   BIGINT      NOT NULL,
    PRIMARY KEY (app_id, name)
);
CREATE INDEX media_app ON media (app_id);

-- +goose Down
DROP INDEX media_app;
DROP TABLE app_quotas;
