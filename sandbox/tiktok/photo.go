package tiktok

import (
	"fmt"
	"slices"
	"time"

	"socialqueue/sandbox/engine"
)

// The bounds of a photo post, in UTF-16 code units where they are of a text (Photo Post reference, 2026-09-11).
const (
	maxPhotos           = 35
	maxPhotoTitle       = 90
	maxPhotoDescription = 4000
)

const (
	modeDirect = "DIRECT_POST"
	modeInbox  = "MEDIA_UPLOAD"
)

// modeScopes are the scopes that the post modes need.
var modeScopes = map[string]string{modeDirect: "video.publish", modeInbox: "video.upload"}

// photoRequest is the body of content/init; unknown fields are ignored.
type photoRequest struct {
	MediaType     string       `json:"media_type"`
	PostMode      string       `json:"post_mode"`
	IsAIGenerated bool         `json:"is_aigc"` // here, unlike that of a video
	PostInfo      photoInfo    `json:"post_info"`
	SourceInfo    *photoSource `json:"source_info"`
}

// photoInfo is the text and the audience. A draft takes the text only.
type photoInfo struct {
	audience
	Title        string `json:"title"`
	Description  string `json:"description"`
	AutoAddMusic bool   `json:"auto_add_music"`
}

type photoSource struct {
	Source     string   `json:"source"`
	CoverIndex number   `json:"photo_cover_index"`
	Images     []string `json:"photo_images"`
}

func (t *Platform) initPhoto(x *engine.Exchange, acc *account) engine.Reply {
	var in photoRequest
	if err := decode(x.Request, &in); err != nil {
		return t.fail(x, "invalid_params", err.Error())
	}
	if no := t.checkPhotoPost(&in, acc, x.Now); no != nil {
		return t.fail(x, no.code, no.message)
	}
	inbox := in.PostMode == modeInbox
	p := t.newPublish(x, acc, kindPhoto, sourcePull, inbox)
	p.title, p.caption = in.PostInfo.Title, in.PostInfo.Description
	if inbox {
		acc.shares = append(acc.shares, p)
	} else {
		p.privacy = in.PostInfo.PrivacyLevel
		t.creators.Add(acc.OpenID, x.Now)
	}
	return t.beginPull(x, p, in.SourceInfo.Images)
}

// checkPhotoPost makes the checks of content/init in the order of those of the video calls: mode and scope, what blocks
// the account, post_info, source_info.
func (t *Platform) checkPhotoPost(in *photoRequest, acc *account, now time.Time) *refusal {
	scope := modeScopes[in.PostMode]
	switch {
	case in.MediaType != "PHOTO":
		return invalid("media_type must be PHOTO")
	case scope == "":
		return invalid("post_mode must be DIRECT_POST or MEDIA_UPLOAD")
	case !slices.Contains(acc.Scopes, scope):
		return &refusal{code: "scope_not_authorized"}
	}
	block := t.blocked
	if in.PostMode == modeInbox {
		block = t.inboxBlocked
	}
	if code := block(acc, now); code != "" {
		return &refusal{code: code}
	}
	if no := t.checkPhotoInfo(in, acc); no != nil {
		return no
	}
	return t.checkPhotoSource(in.SourceInfo)
}

// checkPhotoInfo checks the text in both modes, and the audience of a direct post.
func (t *Platform) checkPhotoInfo(in *photoRequest, acc *account) *refusal {
	if in.PostMode == modeDirect {
		if no := t.checkAudience(in.PostInfo.audience, acc); no != nil {
			return no
		}
	}
	switch {
	case utf16Length(in.PostInfo.Title) > maxPhotoTitle:
		return invalid("The title is longer than 90 UTF-16 code units")
	case utf16Length(in.PostInfo.Description) > maxPhotoDescription:
		return invalid("The description is longer than 4000 UTF-16 code units")
	}
	return nil
}

// checkPhotoSource: there is no upload of photos.
func (t *Platform) checkPhotoSource(src *photoSource) *refusal {
	switch {
	case src == nil:
		return invalid("source_info is required")
	case src.Source != sourcePull:
		return invalid("source must be PULL_FROM_URL")
	case len(src.Images) < 1 || len(src.Images) > maxPhotos:
		return invalid(fmt.Sprintf("photo_images must hold 1 to %d URLs", maxPhotos))
	case !src.CoverIndex.set:
		return invalid("photo_cover_index is required")
	case src.CoverIndex.value < 0 || src.CoverIndex.value >= int64(len(src.Images)):
		return invalid("photo_cover_index is outside photo_images")
	}
	for _, u := range src.Images {
		if no := t.checkPullURL("photo_images", u); no != nil {
			return no
		}
	}
	return nil
}
