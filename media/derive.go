package media

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"runtime/debug"
	"strings"
	"time"
)

// Box limits the size of a picture as people see it, in pixels. Zero is no limit.
type Box struct {
	MaxWidth, MaxHeight int
	MaxShorter          int // of the shorter side
}

// fit returns the largest size of the same shape that is in the box and not larger than
// before.
func (b Box) fit(width, height int) (int, int) {
	num, den := 1, 1
	for _, side := range []struct{ limit, length int }{
		{b.MaxWidth, width}, {b.MaxHeight, height}, {b.MaxShorter, min(width, height)},
	} {
		if side.limit > 0 && side.limit*den < num*side.length {
			num, den = side.limit, side.length
		}
	}
	scale := func(length int) int { return max(1, (length*num+den/2)/den) }
	return scale(width), scale(height)
}

// Fits reports whether a picture can be used as it is: an upright JPEG in the box. Its
// colours are not considered, because Info does not know them.
func Fits(info Info, box Box) bool {
	if info.ContentType != TypeJPEG || info.Orientation > 1 {
		return false
	}
	width, height := box.fit(info.Width, info.Height)
	return width == info.Width && height == info.Height
}

// Variant is a kind of derivative. A stored picture has at most one of each.
type Variant struct {
	name string
	Box  Box
	// MaxBytes is how large a picture may be that is used as it is.
	MaxBytes int64
}

// The variants. They differ only for pictures that are taller than wide.
var (
	// Width1080 has a width and a shorter side of 1080 pixels at most.
	Width1080 = Variant{"width1080", Box{MaxWidth: 1080, MaxShorter: 1080}, maxVariant}
	// Box1080 fits into 1080 by 1080 pixels.
	Box1080 = Variant{"box1080", Box{MaxWidth: 1080, MaxHeight: 1080}, maxVariant}

	variants = []Variant{Width1080, Box1080}
)

// maxVariant is what TikTok takes of a photo (media transfer guide, 2026-09-11).
const maxVariant = 20_000_000

// variantMark separates the key of a picture from the name of a variant.
const variantMark = "."

// Key is the key of the variant of the picture under a key.
func (v Variant) Key(original string) string { return original + variantMark + v.name }

// Original returns the key of the file that a key belongs to: its own, or that of the picture
// which it is a variant of.
func Original(key string) (original string, variant bool) {
	for _, v := range variants {
		if original, ok := strings.CutSuffix(key, variantMark+v.name); ok {
			return original, true
		}
	}
	return key, false
}

const (
	// maxDecoded limits the pixels of a picture in memory, in bytes: those of its decoder and
	// of the derivative. 12.5 megapixels of eight bytes fit.
	maxDecoded = 108 << 20
	// jpegQuality is the quality of derivatives.
	jpegQuality = 90
)

// decoding holds a token while a picture is decoded: one at a time in a process, which
// bounds its memory.
var decoding = make(chan struct{}, 1)

// Derive makes a JPEG of a stored JPEG, PNG or still WebP: upright, in sRGB, on white, scaled
// down into the box, without metadata. It stores the JPEG under the key to, as Save does. If
// that key has a file already, Derive only returns its properties. A key must always stand
// for the same from and box.
//
// One picture is decoded at a time. waiting, which may be nil, is called every few seconds
// while others are.
//
// ErrNotFound means that there is no file under from. A *RejectedError means that no
// derivative can be made of it.
func (s *Store) Derive(ctx context.Context, from, to string, box Box, waiting func()) (Info, error) {
	if info, err := s.describe(ctx, to); !errors.Is(err, ErrNotFound) {
		return info, err
	}
	if err := takeTurn(ctx, waiting); err != nil {
		return Info{}, fmt.Errorf("derive media %s: %w", to, err)
	}
	defer func() { <-decoding }()
	if info, err := s.describe(ctx, to); !errors.Is(err, ErrNotFound) {
		return info, err // made while we waited
	}
	// The next picture is allocated before a collection is due. Without this one, that needs
	// twice the memory.
	defer debug.FreeOSMemory()
	small, err := s.shrink(ctx, from, box)
	if err != nil {
		return Info{}, err
	}
	return s.saveJPEG(ctx, to, small)
}

// tellEvery is how often a waiting call of Derive tells so.
const tellEvery = 5 * time.Second

// takeTurn waits until this process decodes no other picture.
func takeTurn(ctx context.Context, waiting func()) error {
	tell := time.NewTicker(tellEvery)
	defer tell.Stop()
	for {
		select {
		case decoding <- struct{}{}:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		case <-tell.C:
			if waiting != nil {
				waiting()
			}
		}
	}
}

// describe reads a stored file and returns its properties.
func (s *Store) describe(ctx context.Context, key string) (Info, error) {
	r, err := s.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return Info{}, bucketError("read", key, err)
	}
	defer func() { _ = r.Close() }() // it was only read
	in := bufio.NewReader(r)
	head, err := in.Peek(sniffLen)
	if err != nil && !errors.Is(err, io.EOF) {
		return Info{}, bucketError("read", key, err)
	}
	form, err := sniff(head)
	if err != nil {
		return Info{}, err
	}
	sum := sha256.New()
	info, err := copyAndProbe(sum, in, form)
	if err != nil {
		return Info{}, bucketError("read", key, err)
	}
	info.Bytes = r.Size()
	info.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return info, nil
}

// shrink reads a picture and makes the small one.
func (s *Store) shrink(ctx context.Context, key string, box Box) (*image.RGBA, error) {
	var p picture
	err := s.read(ctx, key, func(r *bufio.Reader) (err error) {
		p, err = readPicture(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	seen := Info{Width: p.width, Height: p.height, Orientation: p.orientation}.upright()
	width, height := box.fit(seen.Width, seen.Height)
	if p.memory+4*int64(width)*int64(height) > maxDecoded {
		return nil, reject("image has too many pixels to be converted: make it smaller, or save it as baseline JPEG")
	}
	if p.orientation >= 5 {
		width, height = height, width
	}
	var img image.RGBA64Image
	err = s.read(ctx, key, func(r *bufio.Reader) (err error) {
		img, err = p.decodePixels(r)
		return err
	})
	if err != nil {
		return nil, err
	}
	small := scaleUpright(img, width, height, p.orientation)
	if profile, ok := readRGBProfile(p.profile); ok {
		profile.toSRGB(small)
	}
	return small, nil
}

// read passes a stored file to fn. An error of the bucket is the cause of any that fn
// returns.
func (s *Store) read(ctx context.Context, key string, fn func(*bufio.Reader) error) error {
	r, err := s.bucket.NewReader(ctx, key, nil)
	if err != nil {
		return bucketError("read", key, err)
	}
	defer func() { _ = r.Close() }() // it was only read
	src := &faultReader{ctx: ctx, r: r}
	err = fn(bufio.NewReaderSize(src, streamBuffer))
	if src.err != nil {
		return bucketError("read", key, src.err)
	}
	return err
}

// faultReader remembers why a read failed. It stops when ctx is done.
type faultReader struct {
	ctx context.Context
	r   io.Reader
	err error
}

func (f *faultReader) Read(p []byte) (int, error) {
	if f.err = f.ctx.Err(); f.err != nil {
		return 0, f.err
	}
	n, err := f.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// decodePixels decodes a picture whose memory was checked.
func (p picture) decodePixels(r io.Reader) (image.RGBA64Image, error) {
	img, err := p.decode(r)
	if err != nil {
		return nil, reject("image is damaged, or of a rare kind: save it as baseline JPEG")
	}
	pixels, ok := img.(image.RGBA64Image)
	if !ok || pixels.Bounds().Dx() != p.width || pixels.Bounds().Dy() != p.height {
		return nil, reject("image is damaged: its size is not the one its header says")
	}
	return pixels, nil
}

// saveJPEG stores a picture as JPEG.
func (s *Store) saveJPEG(ctx context.Context, key string, img image.Image) (Info, error) {
	r, w := io.Pipe()
	defer func() { _ = r.Close() }() // ends the encoder if Save fails
	go func() {
		w.CloseWithError(jpeg.Encode(w, img, &jpeg.Options{Quality: jpegQuality}))
	}()
	return s.Save(ctx, key, r)
}
