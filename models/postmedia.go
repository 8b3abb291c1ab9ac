package models

import "strconv"

// PostMedia is one file of a post.
type PostMedia struct {
	ID     int64 `gorm:"primaryKey"`
	PostID string
	// Position orders the files of a post, from 0.
	Position int
	// MediaID is the stored file; nil before the link was fetched and after the file was
	// cleaned up.
	MediaID *string
	// SourceURL is the customer's link, sealed; empty once the file is ours.
	SourceURL string
	AltText   string
	// Media is the row of the stored file. Only Posts.Files sets it.
	Media *Media `gorm:"-"`
}

// TableName implements GORM's Tabler.
func (PostMedia) TableName() string { return "post_media" }

// ToFetch reports whether the file is still behind the customer's link.
func (f *PostMedia) ToFetch() bool { return f.MediaID == nil && f.SourceURL != "" }

// Gone reports whether the file was cleaned up.
func (f *PostMedia) Gone() bool { return f.MediaID == nil && f.SourceURL == "" }

// SourceSealedIn names the customer's link to the file at a position of a post. The first
// file's name is that of the link in the posts table: one sealed value serves both.
func SourceSealedIn(postID string, position int) string {
	name := "posts/" + postID + "/source_url"
	if position > 0 {
		name += "/" + strconv.Itoa(position)
	}
	return name
}
