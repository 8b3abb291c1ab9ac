package models

import (
	"slices"
	"strings"
)

// Platform names a social platform.
type Platform string

// The platforms.
const (
	TikTok    Platform = "tiktok"
	Instagram Platform = "instagram"
)

// BehindLogin reports whether the accounts of a platform have rows of their own, in
// instagram_accounts, and are reached through a login in oauth_accounts. On the other
// platforms the row in oauth_accounts is the account.
func (p Platform) BehindLogin() bool { return p == Instagram }

// Platforms are the platforms that this program supports, in display order.
type Platforms []Platform

// Has reports whether p is one of them.
func (all Platforms) Has(p Platform) bool { return slices.Contains(all, p) }

// String joins the names, as in "tiktok, instagram or bluesky".
func (all Platforms) String() string {
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = string(p)
	}
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// PlatformTitle is a platform with its display name.
type PlatformTitle struct {
	Name  Platform
	Title string
}

// PlatformTitles are the platforms of a process, in display order.
type PlatformTitles []PlatformTitle

// Names lists the platforms without their titles.
func (all PlatformTitles) Names() Platforms {
	names := make(Platforms, len(all))
	for i, p := range all {
		names[i] = p.Name
	}
	return names
}

// Of returns the display name of a platform, or its plain name if it is not one of them.
func (all PlatformTitles) Of(p Platform) string {
	for _, known := range all {
		if known.Name == p {
			return known.Title
		}
	}
	return string(p)
}
