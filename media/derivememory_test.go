package media

import (
	"bytes"
	"compress/zlib"
	"context"
	"errors"
	"io"
	"runtime/metrics"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// greyJPEG builds a JPEG of one colour. Each sampling is that of a component, as 0x22.
func greyJPEG(width, height int, frame byte, samplings ...byte) []byte {
	h, v, samples := 1, 1, 0
	components, scan := []byte{byte(len(samplings))}, []byte{byte(len(samplings))}
	for i, s := range samplings {
		h, v = max(h, int(s>>4)), max(v, int(s&15))
		samples += int(s>>4) * int(s&15)
		components = append(components, byte(i+1), s, 0)
		scan = append(scan, byte(i+1), 0)
	}
	blocks := int(blocks(width, 8*h)*blocks(height, 8*v)) * samples
	last := byte(63)
	if frame == jpegSOF2 {
		last = 0 // its one scan has no more than the averages
	}
	// Both Huffman tables have one code, 0, which says that there is no difference to the
	// block before, or that the rest of a block is empty.
	code := append([]byte{1}, make([]byte, 16)...)
	return slices.Concat([]byte{0xff, 0xd8},
		jpegSegment(jpegAPP14, []byte("Adobe\x00\x64\x00\x00\x00\x00\x02")),
		jpegSegment(0xdb, []byte{0}, bytes.Repeat([]byte{1}, 64)),
		jpegSegment(frame, []byte{8, byte(height >> 8), byte(height), byte(width >> 8), byte(width)}, components),
		jpegSegment(jpegDHT, []byte{0x00}, code, []byte{0x10}, code),
		jpegSegment(jpegSOS, scan, []byte{0, last, 0}), make([]byte, blocks/4+1),
		[]byte{0xff, jpegEOI})
}

// blackPNG builds a PNG of zeros. Its height is a multiple of eight.
func blackPNG(t testing.TB, width, height int, depth, kind, interlace byte, pixel int) []byte {
	t.Helper()
	var data bytes.Buffer
	z := zlib.NewWriter(&data)
	rows := height
	if interlace != 0 {
		rows = height / 8 * 15 // of all passes
	}
	_, err := io.CopyN(z, zeros{}, int64(pixel*width*height+rows)) // each row begins with its filter
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return slices.Concat(pngSignature, pngHeader(width, height, depth, kind, interlace), pngChunk("IDAT", data.Bytes()), pngChunk("IEND", nil))
}

// peakMemory runs fn and returns how much memory the process had from the system at most.
func peakMemory(fn func()) uint64 {
	var peak atomic.Uint64
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		for ctx.Err() == nil {
			metrics.Read(s)
			peak.Store(max(peak.Load(), s[0].Value.Uint64()-s[1].Value.Uint64()))
			time.Sleep(time.Millisecond)
		}
	}()
	fn()
	stop()
	<-done
	return peak.Load()
}

// A process that makes one derivative after another of 12-megapixel pictures of every kind
// needs less than 120 MiB.
func TestDeriveMemory(t *testing.T) {
	const width, height = 4032, 3024
	s, _ := openFiles(t, 1<<30)
	for name, file := range map[string][]byte{
		"baseline 4:2:0":    greyJPEG(width, height, jpegSOF0, 0x22, 0x11, 0x11),
		"baseline 4:4:4":    greyJPEG(width, height, jpegSOF0, 0x11, 0x11, 0x11),
		"baseline CMYK":     greyJPEG(width, height, jpegSOF0, 0x11, 0x11, 0x11, 0x11),
		"progressive grey":  greyJPEG(width, height, jpegSOF2, 0x11),
		"progressive 4:2:0": greyJPEG(width, height, jpegSOF2, 0x22, 0x11, 0x11),
		"PNG, 8 bit":        blackPNG(t, width, height, 8, 2, 0, 3),
		"PNG, interlaced":   blackPNG(t, width, height, 8, 6, 1, 4),
		"PNG, 16 bit":       blackPNG(t, width, height, 16, 6, 0, 8),
		"WebP, lossless":    solidWebP(width, height),
	} {
		s.put(t, name, file)
	}
	names := []string{"baseline 4:4:4", "progressive 4:2:0", "PNG, interlaced", "WebP, lossless"}
	if !testing.Short() { // the race detector makes each take a quarter of a minute
		names = append(names, "baseline 4:2:0", "baseline CMYK", "progressive grey", "PNG, 8 bit", "PNG, 16 bit")
	}
	for _, name := range names {
		peak := peakMemory(func() {
			if info, err := s.Derive(t.Context(), name, name+".jpg", Box{MaxWidth: 1080, MaxShorter: 1080}, nil); err != nil || info.Width != 1080 {
				t.Errorf("%s: %+v, %v", name, info, err)
			}
		})
		t.Logf("%s: peak of %d MiB", name, peak>>20)
		const limit = 120 << 20
		if peak > limit {
			t.Errorf("%s: %d MiB", name, peak>>20)
		}
	}
}
