package db

import (
	"context"
	"fmt"

	"gorm.io/gorm/clause"

	"socialqueue/models"
)

// Pauses lists all pauses.
func (s *Admission) Pauses(ctx context.Context) (models.Pauses, error) {
	var all models.Pauses
	if err := s.orm.WithContext(ctx).Order("scope").Find(&all).Error; err != nil {
		return nil, fmt.Errorf("list pauses: %w", err)
	}
	return all, nil
}

// Pause stores a pause. If its scope is already paused, the new reason replaces the old one.
func (s *Admission) Pause(ctx context.Context, p models.Pause) error {
	err := s.orm.WithContext(ctx).Clauses(clause.OnConflict{
		Columns: []clause.Column{{Name: "scope"}}, DoUpdates: clause.AssignmentColumns([]string{"reason", "paused_by", "created_at"}),
	}).Create(&p).Error
	if err != nil {
		return fmt.Errorf("pause %s: %w", p.Scope, err)
	}
	return nil
}

// Resume ends a pause and reports whether there was one.
func (s *Admission) Resume(ctx context.Context, scope string) (bool, error) {
	res := s.orm.WithContext(ctx).Delete(&models.Pause{}, "scope = ?", scope)
	return changedAny(res, "resume "+scope)
}

// HasAccount reports whether an account exists in any app.
func (s *Admission) HasAccount(ctx context.Context, p models.Platform, id int64) (bool, error) {
	q := s.orm.WithContext(ctx).Model(&models.OAuthAccount{}).Where("provider = ?", p)
	if p.BehindLogin() {
		q = s.orm.WithContext(ctx).Model(&models.InstagramAccount{})
	}
	var n int64
	if err := q.Where("id = ?", id).Count(&n).Error; err != nil {
		return false, fmt.Errorf("look up %s account %d: %w", p, id, err)
	}
	return n > 0, nil
}
