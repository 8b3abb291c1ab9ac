package handlers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"socialqueue/media"
	"socialqueue/models"
	"socialqueue/tenants"
)

const fieldFile = "file"

type mediaView struct {
	ID          string `json:"id"`
	Bytes       int64  `json:"bytes"`
	ContentType string `json:"content_type"`
	SHA256      string `json:"sha256"`
	DurationMs  int64  `json:"duration_ms,omitempty"`
	Width       int    `json:"width,omitempty"`
	Height      int    `json:"height,omitempty"`
}

func viewMedia(m *models.Media) mediaView {
	return mediaView{
		ID: m.ID, Bytes: m.Bytes, ContentType: m.ContentType, SHA256: m.SHA256,
		DurationMs: m.DurationMs, Width: m.Width, Height: m.Height,
	}
}

// createMedia stores a file: the body itself, or the part "file" of a form.
func (a *api) createMedia(c echo.Context) error {
	if a.surelyTooLarge(c.Request()) {
		return a.fileTooLarge()
	}
	drain := func() (string, error) {
		file, err := mediaBody(c)
		if err != nil {
			return "", err
		}
		return a.hashFile(file)
	}
	what := content{drain: drain, lock: uploadLock}
	return a.once(c, what, func(cl *tenants.Claim) (*answer, error) { return a.storeMedia(c, cl) })
}

// surelyTooLarge refuses an upload by its Content-Length, before the client sends it.
func (a *api) surelyTooLarge(r *http.Request) bool {
	most := a.MediaMaxBytes
	if isMultipart(r) {
		most += maxJSON
	}
	return r.ContentLength > most
}

func (a *api) storeMedia(c echo.Context, cl *tenants.Claim) (*answer, error) {
	if err := a.reserveFile(c); err != nil {
		return nil, err
	}
	file, err := mediaBody(c)
	if err != nil {
		return nil, err
	}
	ans := &answer{status: http.StatusCreated}
	complete := func(m *models.Media) (*tenants.Completion, error) {
		body, err := json.Marshal(viewMedia(m))
		if err != nil {
			return nil, fmt.Errorf("show media %s: %w", m.ID, err)
		}
		ans.body = body
		return completion(cl, ans, m.SHA256), nil
	}
	if _, err := a.Posts.StoreFile(c.Request().Context(), callerOf(c).AppID, file, complete); err != nil {
		return nil, a.fileError(fieldFile, err)
	}
	return ans, nil
}

// reserveFile checks the app's quota of stored bytes. A request that does not state its
// length counts once its file is stored.
func (a *api) reserveFile(c echo.Context) error {
	return a.Tenants.Reserve(c.Request().Context(), callerOf(c).AppID, models.QuotaMediaBytes, max(c.Request().ContentLength, 1))
}

// mediaBody returns the file in the body of a request.
func mediaBody(c echo.Context) (io.Reader, error) {
	if !isMultipart(c.Request()) {
		return newMovingBody(c), nil
	}
	f, err := newForm(c, nil, fieldFile)
	if err != nil {
		return nil, err
	}
	part, err := f.parts.NextPart()
	if errors.Is(err, io.EOF) {
		return nil, models.FieldErrors{{Field: fieldFile, Message: "is required"}}
	}
	if err != nil {
		return nil, asBodyError(err)
	}
	if name := part.FormName(); name != fieldFile {
		return nil, models.OfField(name, notAField)
	}
	return &onlyPart{form: f, r: partReader{part}}, nil
}

// onlyPart reads a file. Before it reports the end of the file it checks that the form ends
// too, so that a file of an invalid form is not stored.
type onlyPart struct {
	form *form
	r    io.Reader
}

func (o *onlyPart) Read(p []byte) (int, error) {
	n, err := o.r.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	next, err := o.form.parts.NextPart()
	if errors.Is(err, io.EOF) {
		return n, io.EOF
	}
	if err != nil {
		return n, asBodyError(err)
	}
	message := notAField
	if next.FormName() == fieldFile {
		message = "is given twice"
	}
	return n, models.OfField(next.FormName(), "%s", message)
}

// hashFile reads a file only for its SHA-256.
func (a *api) hashFile(file io.Reader) (string, error) {
	sum := sha256.New()
	n, err := io.Copy(sum, io.LimitReader(file, a.MediaMaxBytes+1))
	if err != nil {
		return "", err
	}
	if n > a.MediaMaxBytes {
		return "", a.fileTooLarge()
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// mediaLink serves a file to anyone with its signed link. An invalid link does not reveal
// whether the file exists; an expired one may.
func (a *api) mediaLink(c echo.Context) error {
	original, isVariant := media.Original(c.Param("id"))
	id, ok := canonicalID(original)
	if !ok {
		return notFound("file")
	}
	key := id + strings.TrimPrefix(c.Param("id"), original)
	switch err := a.Links.Verify(key, c.Param("signature"), a.Now()); {
	case errors.Is(err, media.ErrLinkExpired):
		return &problem{status: http.StatusGone, code: codeNotFound, detail: "this link has expired"}
	case err != nil:
		return notFound("file")
	}
	m, err := a.Posts.File(c.Request().Context(), id)
	if err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set(echo.HeaderCacheControl, "private, max-age=300")
	h.Set(echo.HeaderContentSecurityPolicy, "default-src 'none'; sandbox")
	h.Set(echo.HeaderReferrerPolicy, "no-referrer")
	w := &movingAnswer{ResponseWriter: c.Response(), conn: http.NewResponseController(c.Response())}
	info := media.Info{ContentType: m.ContentType, SHA256: m.SHA256}
	if isVariant { // its bytes follow from those of the original
		info = media.Info{ContentType: media.TypeJPEG, SHA256: m.SHA256 + strings.TrimPrefix(key, id)}
	}
	return a.Store.Serve(w, c.Request(), key, info)
}

// movingAnswer writes a response that may take any time as long as the client keeps
// reading.
type movingAnswer struct {
	http.ResponseWriter
	conn     *http.ResponseController
	extended time.Time
}

func (w *movingAnswer) Write(p []byte) (int, error) {
	if now := time.Now(); now.Sub(w.extended) >= extendEvery {
		w.extended = now
		extendWrite(w.conn)
	}
	return w.ResponseWriter.Write(p)
}
