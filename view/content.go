package view

import "socialqueue/models"

// Content is what a post says and shows.
type Content struct {
	// Text is the long text: a caption, the title of a TikTok video, or the description of
	// TikTok photos. Title and Description are for posts that have both.
	Text        string `json:"text"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	// Media are the files, in order.
	Media []Media `json:"media"`
}

// Media is a file of a post. MediaID, Type and Bytes are null while the file is being fetched,
// and after it was cleaned up.
type Media struct {
	MediaID *string `json:"media_id"`
	Type    *string `json:"content_type"`
	Bytes   *int64  `json:"bytes"`
	AltText string  `json:"alt_text,omitempty"`
}

// MediaOf shows the files of a post.
func MediaOf(files []models.PostMedia) []Media {
	shown := make([]Media, len(files))
	for i, f := range files {
		shown[i] = Media{MediaID: f.MediaID, AltText: f.AltText}
		if m := f.Media; m != nil {
			shown[i].Type, shown[i].Bytes = &m.ContentType, &m.Bytes
		}
	}
	return shown
}
