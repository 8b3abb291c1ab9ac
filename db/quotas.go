package db

import (
	"context"
	"fmt"

	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// Quota returns an app's quota: the operator's, or else the default.
func (s *Tenants) Quota(ctx context.Context, appID int64, q models.AppQuota) (int64, error) {
	var most []int64
	err := s.orm.WithContext(ctx).Model(&models.AppQuotaSetting{}).Where("app_id = ? AND name = ?", appID, q).Pluck("most", &most).Error
	if err != nil {
		return 0, fmt.Errorf("read the quota %s of app %d: %w", q, appID, err)
	}
	if len(most) == 0 {
		return q.Default(), nil
	}
	return most[0], nil
}

// SetQuota sets an app's quota; a nil most resets it to the default. It returns ErrNotFound
// if there is no such app.
func (s *Tenants) SetQuota(ctx context.Context, appID int64, q models.AppQuota, most *int64) error {
	orm := s.orm.WithContext(ctx)
	var app models.App
	if err := first(orm.First(&app, appID).Error, fmt.Sprintf("app %d", appID)); err != nil {
		return err
	}
	if most == nil {
		return wrap(orm.Where("app_id = ? AND name = ?", appID, q).Delete(&models.AppQuotaSetting{}).Error, "reset the quota %s", q)
	}
	replace := clause.OnConflict{Columns: []clause.Column{{Name: "app_id"}, {Name: "name"}}, DoUpdates: clause.AssignmentColumns([]string{"most"})}
	return wrap(orm.Clauses(replace).Create(&models.AppQuotaSetting{AppID: appID, Name: q, Most: *most}).Error, "set the quota %s", q)
}

// counts are the queries for what an app has of a quota. Each reads one index.
var counts = map[models.AppQuota]string{
	models.QuotaMediaBytes:   `SELECT COALESCE(SUM(bytes), 0) FROM media WHERE app_id = ?`,
	models.QuotaUsers:        `SELECT COUNT(*) FROM users WHERE app_id = ?`,
	models.QuotaWaitingPosts: `SELECT COUNT(*) FROM posts WHERE app_id = ? AND status IN ('scheduled', 'queued')`,
}

// Used counts what an app has of a quota.
func (s *Tenants) Used(ctx context.Context, appID int64, q models.AppQuota) (int64, error) {
	query, ok := counts[q]
	if !ok {
		return 0, fmt.Errorf("quota %s is not counted in the database", q)
	}
	var n int64
	err := s.orm.WithContext(ctx).Raw(query, appID).Scan(&n).Error
	return n, wrap(err, "count %s of app %d", q, appID)
}
