package media

import (
	"bufio"
	"bytes"
	"errors"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// inspect sniffs and probes a whole file.
func inspect(b []byte) (Info, error) {
	form, err := sniff(b[:min(len(b), sniffLen)])
	if err != nil {
		return Info{}, err
	}
	return copyAndProbe(io.Discard, bytes.NewReader(b), form)
}

func TestProbeFixtures(t *testing.T) {
	video := Info{
		ContentType: TypeMP4, Duration: time.Second, Width: 180, Height: 320,
		Codec: "h264", FramesPer1000s: 25_000, BitRate: 56_336, AudioCodec: "aac", AudioRate: 44_100, AudioChannels: 2,
	}
	but := func(change func(*Info)) Info {
		other := video
		change(&other)
		return other
	}
	for name, want := range map[string]Info{
		"h264.mp4": video,
		"h264.mov": but(func(i *Info) { i.ContentType, i.AudioChannels = TypeQuickTime, 1 }),
		"hevc-turned.mov": { // as a phone records: HEVC, lying, and turned by the track's matrix
			ContentType: TypeQuickTime, Duration: time.Second, Width: 180, Height: 320,
			Codec: "hevc", FramesPer1000s: 25_000, BitRate: 40_496, AudioCodec: "aac", AudioRate: 44_100, AudioChannels: 1,
		},
		"rotated.mp4":    but(func(i *Info) { i.Width, i.Height = 320, 180 }),
		"fragmented.mp4": but(func(i *Info) { i.Duration = 1080 * time.Millisecond }),
		"fragmented-first-only.mp4": {
			ContentType: TypeMP4, Duration: 3 * time.Second, Width: 96, Height: 160, Codec: "h264", FramesPer1000s: 30_000, BitRate: 29_693,
		},
		"mpeg4-part2.mp4": {
			ContentType: TypeMP4, Duration: time.Second, Width: 96, Height: 160, Codec: "mp4v", FramesPer1000s: 10_000, BitRate: 18_928,
		},
		"vp9.webm":      {ContentType: TypeWebM, Duration: time.Second, Width: 180, Height: 320, Codec: "vp9", FramesPer1000s: 25_000},
		"live.webm":     {ContentType: TypeWebM, Duration: 2 * time.Second, Width: 96, Height: 160, Codec: "vp8", FramesPer1000s: 25_000},
		"baseline.jpg":  {ContentType: TypeJPEG, Width: 320, Height: 400},
		"lossy.webp":    {ContentType: TypeWebP, Width: 320, Height: 400},
		"lossless.webp": {ContentType: TypeWebP, Width: 320, Height: 400},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := inspect(fixture(t, name))
			if err != nil {
				t.Fatal(err)
			}
			if d := (got.Duration - want.Duration).Abs(); want.Duration > 0 && d < 50*time.Millisecond {
				got.Duration = want.Duration // audio frames do not end on the second
			}
			if got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestProbeRejects(t *testing.T) {
	mp4 := fixture(t, "h264.mp4")
	jpg := fixture(t, "baseline.jpg")
	moov := bytes.Index(mp4, []byte("moov")) - 4
	mdat := bytes.Index(mp4, []byte("mdat")) - 4
	for name, tc := range map[string]struct {
		file []byte
		says string
	}{
		"text":                   {[]byte("This is a text file that someone has named video.mp4, no more."), "not a video or image"},
		"short text":             {[]byte("hi"), "not a video or image"},
		"html":                   {[]byte("<!doctype html><title>404</title>"), "not a video or image"},
		"cut png":                {fixture(t, "small.png")[:60], "is cut off"},
		"gif":                    {[]byte("GIF89a......"), "convert it to JPEG"},
		"heic":                   {[]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic"), "HEIC"},
		"matroska":               {fixture(t, "h264.mkv"), "Matroska"},
		"audio only":             {fixture(t, "audio.m4a"), "no video track"},
		"mp4 without mdat":       {mp4[:mdat], "no media data"},
		"mp4 without moov":       {append(bytes.Clone(mp4[:moov]), mp4[mdat:]...), "no index"},
		"mp4 with nothing":       {mp4[:moov], "no index"},
		"mp4 cut in mdat":        {mp4[:len(mp4)-100], "cut off"},
		"mp4 cut in moov":        {mp4[:moov+500], "cut off"},
		"mp4 cut in a header":    {mp4[:mdat+5], "cut off"},
		"mp4 part too large":     {patch(mp4, "trak", -4, 0x7f), "larger than the one around it"},
		"mp4 part too small":     {patch(mp4, "mdat", -4, 0, 0, 0, 7), "impossible size"},
		"mp4 part without size":  {patch(mp4, "trak", -4, 0, 0, 0, 0), "no size"},
		"mp4 of 2^63 bytes":      {[]byte("\x00\x00\x00\x10ftypisom\x00\x00\x00\x00\x00\x00\x00\x01mdat\xff\xff\xff\xff\xff\xff\xff\xff"), "impossible size"},
		"mov moov at its end":    {fixture(t, "h264.mov")[:6000], "cut off"},
		"webm cut":               {fixture(t, "vp9.webm")[:8000], "cut off"},
		"webm cut in its header": {fixture(t, "vp9.webm")[:100], "cut off"},
		"webm of nothing":        {[]byte("\x1a\x45\xdf\xa3\x80"), "Matroska"},
		"jpeg cut":               {jpg[:len(jpg)-2], "cut off"},
		"jpeg cut in its header": {jpg[:200], "cut off"},
		"jpeg of nothing":        {[]byte("\xff\xd8\xff\xd9"), "no picture"},
		"jpeg without a size":    {patch(jpg, "\xff\xc0", 5, 0, 0), "no readable header"},
		"jpeg lossless":          {patch(jpg, "\xff\xc0", 1, 0xc3), "rare coding"},
		"jpeg zero segment":      {[]byte("\xff\xd8\xff\xe0\x00\x00"), "no length"},
		"animated webp":          {fixture(t, "animated.webp"), "animated"},
		"webp cut":               {fixture(t, "lossy.webp")[:3000], "cut off"},
		"webp without a size":    {patch(fixture(t, "lossy.webp"), "\x9d\x01\x2a", 5, 0, 0), "no readable header"},
		"webp garbage":           {[]byte("RIFF\x20\x00\x00\x00WEBPVP8 garbage garbage"), "no readable header"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := inspect(tc.file)
			rejected, ok := errors.AsType[*RejectedError](err)
			if !ok || !strings.Contains(rejected.Reason, tc.says) {
				t.Errorf("err = %v, want a rejection that says %q", err, tc.says)
			}
		})
	}
}

// patch overwrites bytes of a copy, at an offset from the first mark.
func patch(file []byte, mark string, offset int, with ...byte) []byte {
	file = bytes.Clone(file)
	copy(file[bytes.Index(file, []byte(mark))+offset:], with)
	return file
}

// Every truncated version of a file must be rejected.
func TestProbeRejectsEveryTruncation(t *testing.T) {
	for _, name := range []string{"h264.mp4", "h264.mov", "vp9.webm", "baseline.jpg", "lossy.webp"} {
		file := fixture(t, name)
		for n := 1; n < len(file); n += 7 {
			if _, err := inspect(file[:n]); err == nil {
				t.Errorf("%s: the first %d of %d bytes were accepted", name, n, len(file))
			}
		}
	}
}

func TestProbeJPEGIgnoresWhatFollows(t *testing.T) {
	file := append(fixture(t, "baseline.jpg"), fixture(t, "h264.mp4")...) // a motion photo
	if info, err := inspect(file); err != nil || info.Width != 320 {
		t.Errorf("got %+v, %v", info, err)
	}
}

// A thumbnail in the metadata holds a whole JPEG, its end marker included.
func TestProbeJPEGThumbnail(t *testing.T) {
	file := fixture(t, "baseline.jpg")
	thumbnail := []byte("\xff\xe1\x00\x0cExif\xff\xd8\xff\xd9\x00\x00")
	whole := append(append(bytes.Clone(file[:2]), thumbnail...), file[2:]...)
	if info, err := inspect(whole); err != nil || info.Height != 400 {
		t.Errorf("got %+v, %v", info, err)
	}
	if _, err := inspect(whole[:len(whole)-2]); err == nil {
		t.Error("the end of the thumbnail was taken for the end of the picture")
	}
}

func TestProbeProgressiveJPEG(t *testing.T) {
	const scan = "\xff\xda\x00\x02\x12\xff\x00\x34\xff\xd0\x56"
	file := "\xff\xd8\xff\xc2\x00\x0b\x08\x00\x10\x00\x20\x01\x01\x11\x00" + scan + "\xff\xc4\x00\x02" + scan + "\xff\xff\xd9"
	if info, err := inspect([]byte(file)); err != nil || info.Width != 32 || info.Height != 16 {
		t.Errorf("got %+v, %v", info, err)
	}
}

func TestProbeMP4LastBoxWithoutSize(t *testing.T) {
	file := patch(fixture(t, "h264.mp4"), "mdat", -4, 0, 0, 0, 0)
	if info, err := inspect(file); err != nil || info.Codec != "h264" {
		t.Errorf("got %+v, %v", info, err)
	}
}

func TestProbeMP4ManyBoxes(t *testing.T) {
	boxes := bytes.Repeat([]byte("\x00\x00\x00\x08free"), maxBoxes+1)
	_, err := inspect(append([]byte("\x00\x00\x00\x0cftypisom"), boxes...))
	if !errors.Is(err, errTooManyBoxes) {
		t.Errorf("err = %v", err)
	}
}

func TestProbeMP4Nesting(t *testing.T) {
	size := 8 * 1000
	file := []byte("\x00\x00\x00\x0cftypisom")
	for range 1000 {
		file = append(file, 0, 0, byte(size>>8), byte(size), 'm', 'd', 'i', 'a')
		size -= 8
	}
	if _, err := inspect(file); err == nil || !strings.Contains(err.Error(), "nested") {
		t.Errorf("err = %v", err)
	}
}

func TestBoxDuration(t *testing.T) {
	for _, tc := range []struct {
		units   uint64
		version uint8
		scale   uint32
		want    time.Duration
		ok      bool
	}{
		{90_000, 0, 90_000, time.Second, true},
		{1001, 0, 30_000, 33_366_666, true},
		{5, 0, 0, 0, true},
		{1<<32 - 1, 0, 1000, 0, true},
		{1<<32 - 1, 1, 1000, 4_294_967_295 * time.Millisecond, true},
		{1<<64 - 1, 1, 1000, 0, true},
		{1 << 63, 1, 1, 0, false},
		{1 << 63, 1, 1000, 0, false},
	} {
		got, err := boxDuration(tc.units, tc.version, tc.scale)
		if got != tc.want || (err == nil) != tc.ok {
			t.Errorf("%+v: got %v, %v", tc, got, err)
		}
	}
}

func TestProbePassesReadErrors(t *testing.T) {
	broken := errors.New("connection lost")
	for _, name := range []string{"h264.mp4", "vp9.webm", "baseline.jpg", "lossy.webp"} {
		file := fixture(t, name)
		form, err := sniff(file[:sniffLen])
		if err != nil {
			t.Fatal(err)
		}
		r := io.MultiReader(bytes.NewReader(file[:1000]), iotest.ErrReader(broken))
		if _, err := form.probe(bufio.NewReader(r)); !errors.Is(err, broken) {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}

func FuzzProbeMP4(f *testing.F) {
	for _, name := range []string{"h264.mp4", "h264.mov", "fragmented.mp4", "fragmented-first-only.mp4", "mpeg4-part2.mp4", "audio.m4a"} {
		f.Add(fixture(f, name))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		fuzzProbe(t, probeMP4, file)
	})
}

func FuzzProbeWebM(f *testing.F) {
	f.Add(fixture(f, "vp9.webm"))
	f.Add(fixture(f, "live.webm"))
	f.Add(fixture(f, "h264.mkv"))
	f.Fuzz(func(t *testing.T, file []byte) {
		fuzzProbe(t, probeWebM, file)
	})
}

func FuzzProbeWebP(f *testing.F) {
	f.Add(fixture(f, "lossy.webp"))
	f.Add(fixture(f, "lossless.webp"))
	f.Add(append(fixture(f, "lossy.webp"), chunk("EXIF", orientation(6))...))
	f.Fuzz(func(t *testing.T, file []byte) {
		fuzzProbe(t, probeWebP, file)
	})
}

// What the standard decoder reads to its end, the probe accepts, and agrees
// with it on the size.
func FuzzProbeJPEG(f *testing.F) {
	f.Add(fixture(f, "baseline.jpg"))
	f.Add(slices.Insert(fixture(f, "baseline.jpg"), 2, app1(exifPrefix, orientation(6))...))
	f.Fuzz(func(t *testing.T, file []byte) {
		if !bytes.HasPrefix(file, []byte("\xff\xd8\xff")) {
			return
		}
		info := fuzzProbe(t, probeJPEG, file).upright() // as stored again
		config, err := jpeg.DecodeConfig(bytes.NewReader(file))
		if err == nil && info.Width > 0 && (config.Width != info.Width || config.Height != info.Height) {
			t.Errorf("size %dx%d, the standard decoder says %dx%d", info.Width, info.Height, config.Width, config.Height)
		}
	})
}

func fuzzProbe(t *testing.T, probe func(*bufio.Reader) (Info, error), file []byte) Info {
	info, err := probe(bufio.NewReaderSize(bytes.NewReader(file), streamBuffer))
	if err != nil {
		if _, ok := errors.AsType[*RejectedError](err); !ok {
			t.Errorf("err = %v, want a rejection", err)
		}
		return Info{}
	}
	if info.Width <= 0 || info.Height <= 0 || info.Duration < 0 || info.FramesPer1000s < 0 || info.BitRate < 0 ||
		info.AudioRate < 0 || info.AudioChannels < 0 {
		t.Errorf("accepted %+v", info)
	}
	return info
}
