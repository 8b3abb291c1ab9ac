package handlers

import "socialqueue/models"

// Platform is a platform that this installation knows.
type Platform struct {
	Name models.Platform
	// Title is the platform as people know it.
	Title string
}

// platformNames lists the platforms that a caller may name.
func (a *api) platformNames() models.Platforms {
	names := make(models.Platforms, len(a.Platforms))
	for i, p := range a.Platforms {
		names[i] = p.Name
	}
	return names
}

func (a *api) platformTitle(p models.Platform) string {
	for _, known := range a.Platforms {
		if known.Name == p {
			return known.Title
		}
	}
	return string(p)
}
