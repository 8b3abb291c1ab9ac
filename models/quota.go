package models

import "fmt"

// AppQuota names something of which one app may have only so much, so that no app fills the
// installation.
type AppQuota string

// The quotas of an app.
const (
	// QuotaMediaBytes is the total size of stored files.
	QuotaMediaBytes AppQuota = "media_bytes"
	QuotaUsers      AppQuota = "users"
	// QuotaWaitingPosts is the number of posts that have not been sent.
	QuotaWaitingPosts AppQuota = "waiting_posts"
	// QuotaOpenConnects is the number of consent pages that were opened and not finished in
	// their quarter of an hour.
	QuotaOpenConnects AppQuota = "open_connects"
)

// MaxEndpointTests is how many test events an app may send to an endpoint within an hour.
const MaxEndpointTests = 60

// AppQuotas lists the quotas with their defaults, which are far above honest use.
var AppQuotas = []struct {
	Name    AppQuota
	Title   string
	Default int64
}{
	{QuotaMediaBytes, "bytes of stored files", 500 << 30},
	{QuotaUsers, "users", 1_000_000},
	{QuotaWaitingPosts, "waiting posts", 2_000_000},
	{QuotaOpenConnects, "open consent pages", 1000},
}

// MaxUserConnects is the number of open consent pages of one user.
const MaxUserConnects = 20

// Default returns the quota of an app for which an operator set none.
func (q AppQuota) Default() int64 {
	for _, known := range AppQuotas {
		if known.Name == q {
			return known.Default
		}
	}
	return 0
}

// Title describes what the quota counts.
func (q AppQuota) Title() string {
	for _, known := range AppQuotas {
		if known.Name == q {
			return known.Title
		}
	}
	return string(q)
}

// QuotaError means that a quota is used up. Its text is for the app's developer.
type QuotaError struct {
	// Whose is what the quota belongs to, such as "app", and Of what it counts.
	Whose, Of string
	Most      int64
}

// Exceeded returns the error of an app that has used up the quota.
func (q AppQuota) Exceeded(most int64) error {
	return &QuotaError{Whose: appsQuota, Of: q.Title(), Most: most}
}

const appsQuota = "app"

// Error says which quota it is.
func (e *QuotaError) Error() string {
	text := fmt.Sprintf("the %s may have %d %s and has no room for more", e.Whose, e.Most, e.Of)
	if e.Whose == appsQuota {
		text += "; the operator can raise the quota: socialqueue app set"
	}
	return text
}

// AppQuotaSetting is a quota that an operator set for an app.
type AppQuotaSetting struct {
	AppID int64    `gorm:"primaryKey"`
	Name  AppQuota `gorm:"primaryKey"`
	Most  int64
}

// TableName implements GORM's Tabler.
func (AppQuotaSetting) TableName() string { return "app_quotas" }
