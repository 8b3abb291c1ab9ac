package handlers

import (
	"maps"
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"
)

// robotsPath is where crawlers look for what they may fetch.
const robotsPath = "/robots.txt"

// robots lets the platforms' fetchers have the media, and keeps search engines from the rest.
// Instagram's fetcher obeys it (Ayrshare's error page, 2026-11).
const robots = "User-agent: *\nAllow: /media/\n"

// textFiles are the short texts that are served as they are, by path: robots.txt, and those by
// which platforms verify that the host is ours.
func (a *api) textFiles(e *echo.Echo) {
	serve := func(path, text string) {
		handle := func(c echo.Context) error { return c.String(http.StatusOK, text) }
		e.GET(path, handle)
		e.HEAD(path, handle)
	}
	allowed := robots
	for _, path := range slices.Sorted(maps.Keys(a.TextFiles)) {
		serve(path, a.TextFiles[path])
		allowed += "Allow: " + path + "\n"
	}
	serve(robotsPath, allowed+"Disallow: /\n")
}
