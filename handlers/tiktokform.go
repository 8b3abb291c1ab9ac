package handlers

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/labstack/echo/v4"

	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/tenants"
)

const fieldVideo = "video"

// tiktokForm accepts a TikTok upload as a form, with or without the video. The parts come
// in any order, so the video is stored while it arrives, and deleted if the request fails.
func (a *api) tiktokForm(c echo.Context) error {
	if c.Request().ContentLength > a.MediaMaxBytes+maxJSON {
		return a.fileTooLarge()
	}
	drain := func() (string, error) {
		var in tiktokRequest
		f, err := newForm(c, in.fields(), fieldVideo)
		if err != nil {
			return "", err
		}
		return f.read(func(file io.Reader) (string, error) { return a.hashFile(file) })
	}
	what := content{drain: drain, lock: uploadLock}
	return a.once(c, what, func(cl *tenants.Claim) (*answer, error) { return a.acceptForm(c, cl) })
}

func (a *api) acceptForm(c echo.Context, cl *tenants.Claim) (_ *answer, err error) {
	if err := a.reserveFile(c); err != nil {
		return nil, err
	}
	var in tiktokRequest
	f, err := newForm(c, in.fields(), fieldVideo)
	if err != nil {
		return nil, err
	}
	var video *models.Media
	defer func() {
		if err != nil && video != nil {
			err = a.discard(c, video, err)
		}
	}()
	hash, err := f.read(func(file io.Reader) (sum string, err error) {
		if video, err = a.Posts.StoreFile(c.Request().Context(), callerOf(c).AppID, file, nil); err != nil {
			return "", a.fileError(fieldVideo, err)
		}
		return video.SHA256, nil
	})
	if err != nil {
		return nil, err
	}
	if err := useVideo(&in, video); err != nil {
		return nil, err
	}
	defer bound(c)()
	ans, err := a.accept(c, in.request(), cl, hash)
	if fields, ok := errors.AsType[models.FieldErrors](err); ok && video != nil {
		return nil, rename(fields, "media_id", fieldVideo)
	}
	return ans, err
}

func useVideo(in *tiktokRequest, video *models.Media) error {
	if video == nil {
		return nil
	}
	if in.mediaID != "" || in.mediaURL != "" {
		return models.FieldErrors{{Field: fieldVideo, Message: "give exactly one of video, media_id and media_url"}}
	}
	in.mediaID = video.ID
	return nil
}

// rename changes the field in errors to the one that the app sent.
func rename(fields models.FieldErrors, from, to string) models.FieldErrors {
	renamed := make(models.FieldErrors, len(fields))
	for i, f := range fields {
		if f.Field == from {
			f.Field = to
		}
		renamed[i] = f
	}
	return renamed
}

// discard deletes the video of a refused post, even if the client has disconnected. If that
// fails, the clean-up deletes it as unused.
func (a *api) discard(c echo.Context, video *models.Media, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.Request().Context()), releaseTime)
	defer cancel()
	if err := a.Posts.DiscardFile(ctx, video); err != nil {
		a.logOf(c).WithError(err).Warn("cannot delete the video of a refused post; the clean-up deletes it")
	}
	return cause
}

// fileError converts the error of a refused file into a field error.
func (a *api) fileError(field string, err error) error {
	if rejected, ok := errors.AsType[*media.RejectedError](err); ok {
		return models.FieldErrors{{Field: field, Message: rejected.Reason}}
	}
	if errors.Is(err, media.ErrEmpty) {
		return models.FieldErrors{{Field: field, Message: "is empty"}}
	}
	if errors.Is(err, media.ErrTooLarge) {
		return a.fileTooLarge()
	}
	return err
}

func (a *api) fileTooLarge() *problem {
	return tooLarge(fmt.Sprintf("the file has more than %d bytes", a.MediaMaxBytes))
}
