package models

import "strconv"

// PostMedia is one file of a post.
type PostMedia struct {
	ID     int64 `gorm:"primaryKey"`
	PostID string
	// Position orders the files of a post, from 0.
	Position int
	// MediaID is the stored file; nil until the link is fetched, and again after the file
	// was cleaned up.
	MediaID *string
	// SourceURL is the customer's link, encrypted; empty once the file is stored here.
	SourceURL string
	// Pulled: the platform fetches the link itself, so no file is ever stored here.
	Pulled  bool
	AltText string
	// Media is the row of the stored file. Only Posts.Files sets it.
	Media *Media `gorm:"-"`
}

// TableName implements GORM's Tabler.
func (PostMedia) TableName() string { return "post_media" }

// ToFetch reports whether the file still has to be fetched from the customer's link.
func (f *PostMedia) ToFetch() bool { return f.MediaID == nil && f.SourceURL != "" && !f.Pulled }

// Gone reports whether the file was cleaned up.
func (f *PostMedia) Gone() bool { return f.MediaID == nil && f.SourceURL == "" }

// SourceSealedIn returns the associated data of the customer's link to the file at a
// position of a post. The first file uses the same associated data as the link in the posts
// table, so both columns can hold the same encrypted value.
func SourceSealedIn(postID string, position int) string {
	name := "posts/" + postID + "/source_url"
	if position > 0 {
		name += "/" + strconv.Itoa(position)
	}
	return name
}
