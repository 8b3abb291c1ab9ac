package db

import (
	"context"
	"fmt"

	"socialqueue/models"
)

// SealedColumn is a column that holds encrypted secrets.
type SealedColumn struct {
	table, column string
	// columns are the columns that sealedIn needs besides id and value.
	columns  string
	numbered bool // the ids of the table are numbers
	sealedIn func(*sealedRow) string
}

// String returns the column's name with its table.
func (c SealedColumn) String() string { return c.table + "." + c.column }

type sealedRow struct {
	ID, Value               string
	UserID                  int64
	Provider                models.Platform
	ProviderAccountID       string
	IGBusinessID, PostRowID string
	Position                int
}

func (r *sealedRow) account() *models.OAuthAccount {
	return &models.OAuthAccount{UserID: r.UserID, Provider: r.Provider, ProviderAccountID: r.ProviderAccountID}
}

func (r *sealedRow) endpoint() *models.WebhookEndpoint { return &models.WebhookEndpoint{ID: r.ID} }

const accountColumns = ", user_id, provider, provider_account_id"

// Lasts reports whether the secrets are needed as long as their rows exist, as tokens are.
// Secrets of posts are needed only until the post has ended.
func (c SealedColumn) Lasts() bool {
	return c.table != "posts" && c.table != "post_media" && c.table != "ledger"
}

// SealedColumns lists all columns that hold encrypted secrets.
var SealedColumns = []SealedColumn{
	{"oauth_accounts", models.ColumnAccessToken, accountColumns, true, func(r *sealedRow) string { return r.account().SealedIn(models.ColumnAccessToken) }},
	{"oauth_accounts", models.ColumnRefreshToken, accountColumns, true, func(r *sealedRow) string { return r.account().SealedIn(models.ColumnRefreshToken) }},
	{"instagram_accounts", models.ColumnAccessToken, ", ig_business_id", true, func(r *sealedRow) string {
		return (&models.InstagramAccount{IGBusinessID: r.IGBusinessID}).SealedIn()
	}},
	{"posts", "source_url", "", false, func(r *sealedRow) string { return models.SourceSealedIn(r.ID, 0) }},
	{"post_media", "source_url", ", post_id AS post_row_id, position", true, func(r *sealedRow) string {
		return models.SourceSealedIn(r.PostRowID, r.Position)
	}},
	{"webhook_endpoints", models.ColumnSecret, "", false, func(r *sealedRow) string { return r.endpoint().SealedIn(models.ColumnSecret) }},
	{"webhook_endpoints", models.ColumnOldSecret, "", false, func(r *sealedRow) string { return r.endpoint().SealedIn(models.ColumnOldSecret) }},
	{"ledger", "sealed_url", ", post_id AS post_row_id", true, func(r *sealedRow) string { return models.UploadSealedIn(r.PostRowID) }},
}

// Sealed is one stored secret.
type Sealed struct {
	column SealedColumn
	ID     string
	// SealedIn is the associated data with which the value was encrypted.
	SealedIn string
	Value    string
}

// SealedOtherwise lists the secrets of a column whose encrypted form does not begin with
// prefix; an empty prefix lists all. The order is by id. It starts after the id after, or at
// the beginning if after is empty.
func (s *Tokens) SealedOtherwise(ctx context.Context, c SealedColumn, prefix, after string, limit int) ([]Sealed, error) {
	later := "id > @after"
	if c.numbered {
		later = "id > CAST(@after AS BIGINT)"
		if after == "" {
			after = "0"
		}
	}
	var rows []sealedRow
	err := s.orm.WithContext(ctx).Raw(fmt.Sprintf(`
		SELECT CAST(id AS TEXT) AS id, %[2]s AS value%[3]s FROM %[1]s
		WHERE %[4]s AND %[2]s <> '' AND (@prefix = '' OR SUBSTR(%[2]s, 1, LENGTH(@prefix)) <> @prefix) ORDER BY %[1]s.id LIMIT @limit`,
		c.table, c.column, c.columns, later), map[string]any{"after": after, "prefix": prefix, "limit": limit}).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("list the secrets in %s: %w", c, err)
	}
	found := make([]Sealed, len(rows))
	for i := range rows {
		found[i] = Sealed{column: c, ID: rows[i].ID, SealedIn: c.sealedIn(&rows[i]), Value: rows[i].Value}
	}
	return found, nil
}

// Reseal replaces an encrypted value by another encryption of the same secret. It reports
// false and changes nothing if the secret itself was replaced meanwhile.
func (s *Tokens) Reseal(ctx context.Context, old Sealed, value string) (bool, error) {
	id := "id = @id"
	if old.column.numbered {
		id = "id = CAST(@id AS BIGINT)"
	}
	res := s.orm.WithContext(ctx).Exec(
		fmt.Sprintf("UPDATE %[1]s SET %[2]s = @new WHERE %[3]s AND %[2]s = @old", old.column.table, old.column.column, id),
		map[string]any{"new": value, "id": old.ID, "old": old.Value})
	return changedAny(res, fmt.Sprintf("store a secret in %s", old.column))
}
