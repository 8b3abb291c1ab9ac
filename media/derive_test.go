package media

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"image/png"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// store puts a file into the bucket without the checks of Save, which takes no PNG.
func (s *Store) put(t testing.TB, key string, file []byte) {
	t.Helper()
	if err := s.bucket.WriteAll(t.Context(), key, file, nil); err != nil {
		t.Fatal(err)
	}
}

// derive makes a derivative of a file and decodes it.
func derive(t *testing.T, file []byte, box Box) (*image.RGBA, []byte) {
	t.Helper()
	s := openStore(t, "mem://", 1<<30)
	s.put(t, "a", file)
	info, err := s.Derive(t.Context(), "a", "b", box, nil)
	if err != nil {
		t.Fatal(err)
	}
	b := readAll(t, s, "b", 0, -1)
	img := decodeRGBA(t, b)
	if info.ContentType != TypeJPEG || info.Width != img.Rect.Dx() || info.Height != img.Rect.Dy() || info.Bytes != int64(len(b)) {
		t.Errorf("info %+v of a picture of %v", info, img.Rect)
	}
	if !Fits(info, box) {
		t.Errorf("%dx%d does not fit %+v", info.Width, info.Height, box)
	}
	return img, b
}

func decodeRGBA(t *testing.T, file []byte) *image.RGBA {
	t.Helper()
	p, err := readPicture(bufio.NewReader(bytes.NewReader(file)))
	if err != nil {
		t.Fatal(err)
	}
	img, err := p.decode(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	rgba := image.NewRGBA(image.Rect(0, 0, p.width, p.height))
	draw.Draw(rgba, rgba.Rect, image.White, image.Point{}, draw.Src)
	draw.Draw(rgba, rgba.Rect, img, img.Bounds().Min, draw.Over)
	return rgba
}

// difference is how much two pictures of the same size differ, on average over all values.
func difference(a, b *image.RGBA) float64 {
	if a.Rect != b.Rect {
		return 255
	}
	sum := 0
	for i, v := range a.Pix {
		sum += max(int(v)-int(b.Pix[i]), int(b.Pix[i])-int(v))
	}
	return float64(sum) / float64(len(a.Pix))
}

func near(t *testing.T, what string, got color.Color, want color.RGBA, tolerance int) {
	t.Helper()
	r, g, b, _ := got.RGBA()
	for i, v := range []uint32{r, g, b} {
		w := int([]uint8{want.R, want.G, want.B}[i])
		if d := int(v>>8) - w; d > tolerance || d < -tolerance {
			t.Errorf("%s: got %d %d %d, want %v", what, r>>8, g>>8, b>>8, want)
			return
		}
	}
}

var (
	red   = color.RGBA{R: 255, A: 255}
	blue  = color.RGBA{B: 255, A: 255}
	white = color.RGBA{255, 255, 255, 255}
)

// redCorner is a blue picture whose upper left eighth by eighth is red.
func redCorner(width, height int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(img, img.Rect, image.NewUniform(blue), image.Point{}, draw.Src)
	draw.Draw(img, image.Rect(0, 0, width/2, height/4), image.NewUniform(red), image.Point{}, draw.Src)
	return img
}

func encodeJPEG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encodePNG(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngChunk(name string, content []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(content)))
	b = append(append(b, name...), content...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// afterIHDR puts chunks behind the header of a PNG.
func afterIHDR(file []byte, chunks ...[]byte) []byte {
	return slices.Insert(slices.Clone(file), 33, bytes.Join(chunks, nil)...)
}

func deflate(t testing.TB, b []byte) []byte {
	t.Helper()
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, err := w.Write(b)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

func jpegSegment(marker byte, content ...[]byte) []byte {
	b := app1(content...)
	b[1] = marker
	return b
}

// The eight orientations put the corner that is stored at the upper left where Exif says.
func TestDeriveOrientations(t *testing.T) {
	const width, height = 160, 80
	stored := redCorner(width, height)
	plain, plainPNG := encodeJPEG(t, stored), encodePNG(t, stored)
	for n, corner := range map[uint16]string{
		0: "top left", 1: "top left", 2: "top right", 3: "bottom right", 4: "bottom left",
		5: "top left", 6: "top right", 7: "bottom right", 8: "bottom left",
	} {
		for name, file := range map[string][]byte{
			"jpeg": slices.Concat(plain[:2], app1(exifPrefix, orientation(n)), plain[2:]),
			"png":  afterIHDR(plainPNG, pngChunk("eXIf", orientation(n))),
		} {
			img, b := derive(t, file, Box{MaxShorter: 40})
			want := image.Rect(0, 0, 80, 40)
			if n >= 5 {
				want = image.Rect(0, 0, 40, 80)
			}
			if img.Rect != want {
				t.Errorf("%s %d: size %v, want %v", name, n, img.Rect, want)
			}
			for y, row := range []string{"top", "bottom"} {
				for x, column := range []string{"left", "right"} {
					expect := blue
					if row+" "+column == corner {
						expect = red
					}
					at := img.At(x*(img.Rect.Dx()-1), y*(img.Rect.Dy()-1))
					near(t, name+" "+row+" "+column, at, expect, 12)
				}
			}
			// The red corner is half of one side and a quarter of the other, as stored.
			inX, inY := 25, 6
			if n >= 5 {
				inX, inY = inY, inX
			}
			if strings.Contains(corner, "right") {
				inX = img.Rect.Dx() - 1 - inX
			}
			if strings.Contains(corner, "bottom") {
				inY = img.Rect.Dy() - 1 - inY
			}
			near(t, name+" in the corner", img.At(inX, inY), red, 12)
			near(t, name+" beside the corner", img.At(img.Rect.Dx()-1-inX, inY), blue, 12)
			if bytes.Contains(b, []byte("Exif")) {
				t.Errorf("%s %d: the derivative has Exif data", name, n)
			}
		}
	}
}

// A derivative of the same size looks as the picture does.
func TestDeriveKinds(t *testing.T) {
	scene := func(img draw.Image) image.Image {
		src := decodeRGBA(t, fixture(t, "go/video-001.rgb.jpeg"))
		draw.Draw(img, src.Rect, src, image.Point{}, draw.Src)
		return img
	}
	size := image.Rect(0, 0, 150, 103)
	palette := make(color.Palette, 0, 216)
	for i := range 216 {
		palette = append(palette, color.RGBA{uint8(i % 6 * 51), uint8(i / 6 % 6 * 51), uint8(i / 36 * 51), 255})
	}
	faded := image.NewNRGBA(size)
	for i := range faded.Pix {
		faded.Pix[i] = uint8(i / 40)
	}
	for name, file := range map[string][]byte{
		"baseline":              encodeJPEG(t, scene(image.NewRGBA(size))),
		"by ffmpeg":             fixture(t, "baseline.jpg"),
		"progressive 4:2:0":     fixture(t, "go/video-001.q50.420.progressive.jpeg"),
		"progressive 4:2:2":     fixture(t, "go/video-001.q50.422.progressive.jpeg"),
		"progressive 4:4:4":     fixture(t, "go/video-001.q50.444.progressive.jpeg"),
		"progressive grey":      fixture(t, "go/video-005.gray.q50.progressive.jpeg"),
		"grey":                  encodeJPEG(t, scene(image.NewGray(size))),
		"RGB":                   fixture(t, "go/video-001.rgb.jpeg"),
		"CMYK":                  fixture(t, "go/video-001.cmyk.jpeg"),
		"YCCK":                  patch(fixture(t, "go/video-001.cmyk.jpeg"), "Adobe", 11, 2),
		"PNG":                   encodePNG(t, scene(image.NewRGBA(size))),
		"PNG, alpha":            encodePNG(t, faded),
		"PNG, 16 bit":           encodePNG(t, scene(image.NewRGBA64(size))),
		"PNG, 16 bit alpha":     encodePNG(t, scene(image.NewNRGBA64(size))),
		"PNG, grey":             encodePNG(t, scene(image.NewGray(size))),
		"PNG, 16 bit grey":      encodePNG(t, scene(image.NewGray16(size))),
		"PNG, palette":          encodePNG(t, scene(image.NewPaletted(size, palette))),
		"PNG, interlaced":       interlaced(t, redCorner(61, 37)),
		"WebP":                  fixture(t, "lossy.webp"),
		"WebP, lossless":        fixture(t, "lossless.webp"),
		"WebP, alpha":           fixture(t, "go/yellow_rose.lossy-with-alpha.webp"),
		"WebP, lossless, alpha": fixture(t, "go/gopher-doc.with-alpha.lossless.webp"),
	} {
		t.Run(name, func(t *testing.T) {
			img, _ := derive(t, file, Box{})
			if d := difference(img, decodeRGBA(t, file)); d > 6 { // colours are stored at half the size
				t.Errorf("differs by %.1f on average from size %v", d, img.Rect)
			}
			img, _ = derive(t, file, Box{MaxWidth: 50})
			if img.Rect.Dx() != 50 {
				t.Errorf("size %v, want a width of 50", img.Rect)
			}
		})
	}
}

// interlaced encodes a PNG in Adam7's seven passes.
func interlaced(t testing.TB, img *image.RGBA) []byte {
	t.Helper()
	var raw []byte
	for _, pass := range [][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
		for y := pass[1]; y < img.Rect.Dy(); y += pass[3] {
			raw = append(raw, 0) // no filter
			for x := pass[0]; x < img.Rect.Dx(); x += pass[2] {
				c := img.RGBAAt(x, y)
				raw = append(raw, c.R, c.G, c.B)
			}
		}
	}
	return slices.Concat(pngSignature, pngHeader(img.Rect.Dx(), img.Rect.Dy(), 8, 2, 1), pngChunk("IDAT", deflate(t, raw)), pngChunk("IEND", nil))
}

func pngHeader(width, height int, depth, kind, interlace byte) []byte {
	return pngChunk("IHDR", append(words(uint32(width), uint32(height)), depth, kind, 0, 0, interlace))
}

// Where a picture is transparent, white shows, also after it was scaled.
func TestDeriveOnWhite(t *testing.T) {
	img := image.NewNRGBA(image.Rect(0, 0, 90, 90))
	for i := range img.Pix {
		img.Pix[i] = []uint8{255, 0, 0, 0}[i%4] // red, but transparent
	}
	draw.Draw(img, image.Rect(0, 0, 90, 45), image.NewUniform(color.NRGBA{B: 255, A: 128}), image.Point{}, draw.Src)
	got, _ := derive(t, encodePNG(t, img), Box{MaxWidth: 30})
	near(t, "transparent", got.At(15, 25), white, 2)
	near(t, "half", got.At(15, 5), color.RGBA{127, 127, 255, 255}, 3)
}

// Scaling keeps the brightness of a fine pattern and of a gradient.
func TestDeriveScales(t *testing.T) {
	img := image.NewGray(image.Rect(0, 0, 700, 300))
	for y := range 300 {
		for x := range 700 {
			v := uint8(x * 255 / 699)
			if y >= 150 {
				v = uint8(255 * ((x + y) % 2))
			}
			img.SetGray(x, y, color.Gray{v})
		}
	}
	got, _ := derive(t, encodePNG(t, img), Box{MaxWidth: 233})
	if got.Rect != image.Rect(0, 0, 233, 100) {
		t.Fatal("size", got.Rect)
	}
	for x := 5; x < 228; x += 7 {
		v := uint8(x * 255 / 232)
		near(t, "gradient", got.At(x, 20), color.RGBA{v, v, v, 255}, 3)
		near(t, "pattern", got.At(x, 80), color.RGBA{127, 127, 127, 255}, 4)
	}
}

func TestBox(t *testing.T) {
	for _, tc := range []struct {
		box                         Box
		width, height, wantW, wantH int
	}{
		{Box{}, 4032, 3024, 4032, 3024},
		{Box{MaxWidth: 1080, MaxShorter: 1080}, 4032, 3024, 1080, 810},
		{Box{MaxWidth: 1080, MaxShorter: 1080}, 3024, 4032, 1080, 1440},
		{Box{MaxShorter: 1080}, 4032, 3024, 1440, 1080},
		{Box{MaxWidth: 1080, MaxHeight: 1080}, 3024, 4032, 810, 1080},
		{Box{MaxWidth: 1080, MaxHeight: 1080}, 800, 600, 800, 600},
		{Box{MaxWidth: 1080, MaxHeight: 1080}, 1081, 1081, 1080, 1080},
		{Box{MaxWidth: 1080}, 65535, 1, 1080, 1},
		{Box{MaxHeight: 3}, 1999, 1000, 6, 3},
	} {
		if w, h := tc.box.fit(tc.width, tc.height); w != tc.wantW || h != tc.wantH {
			t.Errorf("%+v of %dx%d: got %dx%d, want %dx%d", tc.box, tc.width, tc.height, w, h, tc.wantW, tc.wantH)
		}
	}
}

func TestFits(t *testing.T) {
	box := Box{MaxWidth: 1080, MaxShorter: 1080}
	for name, tc := range map[string]struct {
		info Info
		want bool
	}{
		"yes":        {Info{ContentType: TypeJPEG, Width: 1080, Height: 1920}, true},
		"upright":    {Info{ContentType: TypeJPEG, Width: 1080, Height: 1920, Orientation: 1}, true},
		"too wide":   {Info{ContentType: TypeJPEG, Width: 1081, Height: 900}, false},
		"turned":     {Info{ContentType: TypeJPEG, Width: 100, Height: 100, Orientation: 6}, false},
		"other type": {Info{ContentType: TypeWebP, Width: 100, Height: 100}, false},
	} {
		if got := Fits(tc.info, box); got != tc.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestDeriveRejects(t *testing.T) {
	img := redCorner(64, 64)
	file, pngFile := encodeJPEG(t, img), encodePNG(t, img)
	manyScans := slices.Concat(file[:len(file)-2], bytes.Repeat(jpegSegment(jpegSOS, []byte{1, 1, 0, 0, 63, 0}), maxScans), file[len(file)-2:])
	large := func(depth, kind, interlace byte) []byte {
		return slices.Concat(pngSignature, pngHeader(9000, 9000, depth, kind, interlace), pngChunk("IDAT", nil))
	}
	for name, tc := range map[string]struct {
		file []byte
		says string
	}{
		"GIF":                  {[]byte("GIF89a" + strings.Repeat("x", 80)), "GIF"},
		"HEIC":                 {box("ftyp", []byte("heic"), make([]byte, 60)), "HEIC"},
		"AVIF":                 {box("ftyp", []byte("avif"), make([]byte, 60)), "AVIF"},
		"video":                {fixture(t, "h264.mp4"), "video"},
		"text":                 {[]byte(strings.Repeat("text ", 20)), "not a video or image"},
		"empty":                {nil, "not a video or image"},
		"animated WebP":        {withChunks(t, chunk("ANIM", make([]byte, 6))), "animated"},
		"cut JPEG":             {file[:len(file)/2], "cut off"},
		"JPEG without picture": {[]byte("\xff\xd8\xff\xd9"), "no picture"},
		"damaged JPEG":         {patch(file, "\xff\xda", 5, 9), "damaged"},
		"too many scans":       {manyScans, "scans"},
		"lossless JPEG":        {patch(file, "\xff\xc0", 1, 0xc3), "rare coding"},
		"cut PNG":              {pngFile[:len(pngFile)-20], "damaged"},
		"cut header of PNG":    {pngFile[:30], "cut off"},
		"PNG without header":   {slices.Concat(pngSignature, pngFile[33:]), "header"},
		"cut WebP":             {fixture(t, "lossy.webp")[:800], "cut off"},
		"large PNG":            {large(8, 2, 0), "too many pixels"},
		"large palette":        {large(8, 3, 1), "too many pixels"},
		"large WebP":           {solidWebP(9000, 9000), "too many pixels"},
	} {
		t.Run(name, func(t *testing.T) {
			s := openStore(t, "mem://", 1<<30)
			s.put(t, "a", tc.file)
			_, err := s.Derive(t.Context(), "a", "b", Box{MaxWidth: 1080}, nil)
			if rejected, ok := errors.AsType[*RejectedError](err); !ok || !strings.Contains(rejected.Reason, tc.says) {
				t.Errorf("err = %v, want a rejection that says %q", err, tc.says)
			}
			if ok, err := s.Exists(t.Context(), "b"); ok || err != nil {
				t.Errorf("the derivative exists: %v, %v", ok, err)
			}
		})
	}
}

// solidWebP builds a lossless WebP of one colour, whose pixels need no bits.
func solidWebP(width, height int) []byte {
	body := []byte{0x2f}
	var bits uint64
	n := 0
	put := func(value, count int) {
		bits, n = bits|uint64(value)<<n, n+count
		for ; n >= 8; n -= 8 {
			body = append(body, byte(bits))
			bits >>= 8
		}
	}
	put(width-1, 14)
	put(height-1, 14)
	put(0, 7)                                            // neither alpha, version, transforms, cache nor groups
	for _, symbol := range []int{200, 100, 50, 255, 0} { // green, red, blue, alpha, distance
		put(1|1<<2|symbol<<3, 11) // a tree of one symbol, which has 8 bits
	}
	put(0, 16)
	file := chunk("VP8L", body)
	return slices.Concat(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(file)+4)), []byte("WEBP"), file)
}

func TestDeriveSolidWebP(t *testing.T) {
	img, _ := derive(t, solidWebP(300, 200), Box{MaxWidth: 30})
	near(t, "solid", img.At(10, 10), color.RGBA{100, 200, 50, 255}, 3)
}

func TestDeriveAgain(t *testing.T) {
	s, dir := openFiles(t, 1<<20)
	s.put(t, "a", encodeJPEG(t, redCorner(300, 200)))
	first, err := s.Derive(t.Context(), "a", "d/b", Box{MaxWidth: 100}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	again, err := s.Derive(t.Context(), "a", "d/b", Box{MaxWidth: 100}, nil)
	if err != nil || again != first || again.SHA256 == "" {
		t.Errorf("got %+v, %v, want %+v", again, err, first)
	}
	if _, err := s.Derive(t.Context(), "a", "c", Box{}, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("err = %v, want ErrNotFound", err)
	}
	if files := filesIn(t, dir); len(files) != 1 {
		t.Errorf("files %v, want the derivative only", files)
	}
}

// Processes, which share only the bucket, end with the same whole file.
func TestDeriveAtOnce(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, "file://"+filepath.ToSlash(dir), 1<<20)
	s.put(t, "a", encodeJPEG(t, redCorner(300, 200)))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			small, err := s.shrink(context.Background(), "a", Box{MaxWidth: 100})
			if err == nil {
				_, err = s.saveJPEG(context.Background(), "b", small)
			}
			if err != nil {
				t.Error(err)
			}
			if _, err := s.Derive(context.Background(), "a", "b", Box{MaxWidth: 100}, nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if img := decodeRGBA(t, readAll(t, s, "b", 0, -1)); img.Rect.Dx() != 100 {
		t.Error("size", img.Rect)
	}
	if files := filesIn(t, dir); len(files) != 2 {
		t.Errorf("files %v, want the picture and its derivative", files)
	}
}

func TestDeriveWaitsForItsTurn(t *testing.T) {
	s := openStore(t, "mem://", 1<<20)
	s.put(t, "a", encodeJPEG(t, redCorner(30, 20)))
	decoding <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := s.Derive(ctx, "a", "b", Box{}, nil)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
	<-decoding
	if _, err := s.Derive(t.Context(), "a", "b", Box{}, nil); err != nil {
		t.Error(err)
	}
}

// A file that is larger than allowed is not stored, and its encoder ends.
func TestDeriveTooLarge(t *testing.T) {
	s := openStore(t, "mem://", 100)
	s.put(t, "a", encodeJPEG(t, redCorner(300, 200)))
	if _, err := s.Derive(t.Context(), "a", "b", Box{}, nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("err = %v, want ErrTooLarge", err)
	}
}

// A bucket that fails does not make a picture a damaged one.
func TestDeriveReadError(t *testing.T) {
	s := openStore(t, "mem://", 1<<20)
	s.put(t, "a", encodeJPEG(t, redCorner(300, 200)))
	ctx, cancel := context.WithCancel(t.Context())
	err := s.read(ctx, "a", func(r *bufio.Reader) error {
		cancel()
		_, err := (picture{decode: jpeg.Decode}).decodePixels(r)
		return err
	})
	if _, rejected := errors.AsType[*RejectedError](err); rejected || !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v, want context.Canceled", err)
	}
}

// Of foreign bytes either a JPEG is made, or they are rejected.
func FuzzDerive(f *testing.F) {
	for _, name := range []string{
		"baseline.jpg", "small.png", "lossy.webp", "lossless.webp", "go/video-001.cmyk.jpeg", "go/video-001.q50.422.progressive.jpeg",
		"go/video-005.gray.q50.progressive.jpeg", "go/yellow_rose.lossy-with-alpha.webp", "go/gopher-doc.with-alpha.lossless.webp",
	} {
		f.Add(fixture(f, name))
	}
	f.Add(interlaced(f, redCorner(20, 10)))
	f.Add(afterIHDR(encodePNG(f, redCorner(20, 10)), pngChunk("iCCP", slices.Concat([]byte("P3\x00\x00"), deflate(f, displayP3))), pngChunk("eXIf", orientation(5))))
	s, err := OpenStore(f.Context(), "mem://", 1<<30)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		p, err := readPicture(bufio.NewReader(bytes.NewReader(file)))
		if err == nil && p.memory > 16<<20 {
			return // valid, but slow
		}
		s.put(t, "a", file)
		if err := s.Delete(t.Context(), "b"); err != nil {
			t.Fatal(err)
		}
		small, err := s.shrink(t.Context(), "a", Box{MaxWidth: 60, MaxShorter: 40})
		if err != nil {
			if _, ok := errors.AsType[*RejectedError](err); !ok {
				t.Errorf("err = %v, want a rejection", err)
			}
			return
		}
		info, err := s.saveJPEG(t.Context(), "b", small)
		if err != nil || info.Width > 60 || min(info.Width, info.Height) > 40 || info.Width != small.Rect.Dx() {
			t.Errorf("derived %+v, %v", info, err)
		}
	})
}

func FuzzProfile(f *testing.F) {
	f.Add(displayP3)
	f.Add(adobeRGB)
	f.Add(withCurve(parametric(2, 1, 1, -0.5, 0.5)))
	f.Fuzz(func(_ *testing.T, b []byte) {
		if p, ok := readRGBProfile(b); ok {
			p.toSRGB(redCorner(4, 4))
		}
	})
}
