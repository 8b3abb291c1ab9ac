package handlers

import (
	"slices"
	"strings"

	"socialqueue/models"
)

// Platform is a platform that this installation knows.
type Platform struct {
	Name models.Platform
	// Title is the platform as people know it.
	Title string
}

func (a *api) isPlatform(p models.Platform) bool {
	return slices.ContainsFunc(a.Platforms, func(known Platform) bool { return known.Name == p })
}

// platformNames lists the names that a caller may use, for a message.
func (a *api) platformNames() string {
	names := make([]string, len(a.Platforms))
	for i, p := range a.Platforms {
		names[i] = string(p.Name)
	}
	return strings.Join(names, " or ")
}

func (a *api) platformTitle(p models.Platform) string {
	for _, known := range a.Platforms {
		if known.Name == p {
			return known.Title
		}
	}
	return string(p)
}
