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

// BehindLogin reports whether the accounts of a platform have rows of their own
// (instagram_accounts), each reached through a login in oauth_accounts. Everywhere else
// the login is the account.
func (p Platform) BehindLogin() bool { return p == Instagram }

// Platforms are the platforms that this program knows, in the order in which people see
// them.
type Platforms []Platform

// Has reports whether p is one of them.
func (all Platforms) Has(p Platform) bool { return slices.Contains(all, p) }

// String lists them as in "tiktok, instagram or bluesky".
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

// PlatformTitle is a platform with the name that people write.
type PlatformTitle struct {
	Name  Platform
	Title string
}

// PlatformTitles are the platforms of a process, in the order in which people see them.
type PlatformTitles []PlatformTitle

// Names lists the platforms without their titles.
func (all PlatformTitles) Names() Platforms {
	names := make(Platforms, len(all))
	for i, p := range all {
		names[i] = p.Name
	}
	return names
}

// Of returns the title of a platform, or its name if it is not one of them.
func (all PlatformTitles) Of(p Platform) string {
	for _, known := range all {
		if known.Name == p {
			return known.Title
		}
	}
	return string(p)
}
