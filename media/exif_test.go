package media

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"
)

// tiffEntry builds an entry of a TIFF directory.
func tiffEntry(order binary.AppendByteOrder, tag, kind, value uint16) []byte {
	b := order.AppendUint16(order.AppendUint16(nil, tag), kind)
	return append(order.AppendUint16(order.AppendUint32(b, 1), value), 0, 0)
}

// tiff builds Exif data with the entries of its first directory, which begins at an offset.
func tiff(order binary.AppendByteOrder, at uint32, entries ...[]byte) []byte {
	b := []byte("MM\x00*")
	if order == binary.AppendByteOrder(binary.LittleEndian) {
		b = []byte("II*\x00")
	}
	b = order.AppendUint32(b, at)
	b = append(b, make([]byte, max(0, int(at)-len(b)))...)
	b = order.AppendUint16(b, uint16(len(entries)))
	return append(b, bytes.Join(entries, nil)...)
}

func orientation(n uint16) []byte {
	return tiff(binary.BigEndian, 8, tiffEntry(binary.BigEndian, 0x0112, 3, n))
}

// withSegments puts segments behind the start of a JPEG.
func withSegments(t *testing.T, segments ...[]byte) []byte {
	file := fixture(t, "baseline.jpg")
	return slices.Concat(file[:2], bytes.Join(segments, nil), file[2:])
}

func app1(content ...[]byte) []byte {
	body := bytes.Join(content, nil)
	return append(binary.BigEndian.AppendUint16([]byte{0xff, jpegAPP1}, uint16(len(body)+2)), body...)
}

// withChunks puts chunks behind the picture of a WebP.
func withChunks(t *testing.T, chunks ...[]byte) []byte {
	file := append(fixture(t, "lossy.webp"), bytes.Join(chunks, nil)...)
	binary.LittleEndian.PutUint32(file[4:], uint32(len(file)-8))
	return file
}

func chunk(name string, content ...[]byte) []byte {
	body := bytes.Join(content, nil)
	b := append(binary.LittleEndian.AppendUint32([]byte(name), uint32(len(body))), body...)
	return append(b, make([]byte, len(body)%2)...)
}

func TestExifOrientation(t *testing.T) {
	big, little := binary.BigEndian, binary.LittleEndian
	turned := func(order binary.AppendByteOrder) []byte { return tiffEntry(order, 0x0112, 3, 6) }
	other := tiffEntry(big, 0x011a, 3, 5)
	for name, tc := range map[string]struct {
		tiff []byte
		want int
	}{
		"big endian":          {tiff(big, 8, turned(big)), 6},
		"little endian":       {tiff(little, 8, turned(little)), 6},
		"behind others":       {tiff(big, 8, other, other, turned(big)), 6},
		"directory elsewhere": {tiff(little, 100, turned(little)), 6},
		"upright":             {orientation(1), 1},
		"last":                {orientation(8), 8},
		"zero":                {orientation(0), 0},
		"nine":                {orientation(9), 0},
		"no short":            {tiff(big, 8, tiffEntry(big, 0x0112, 4, 6)), 0},
		"other tags":          {tiff(big, 8, other), 0},
		"no entries":          {tiff(big, 8), 0},
		"fewer than said":     {tiff(big, 8, other, turned(big))[:30], 0},
		"directory outside":   {append([]byte("MM\x00*"), 0xff, 0xff, 0xff, 0xff), 0},
		"other order":         {append([]byte("IM\x00*"), orientation(6)[4:]...), 0},
		"short":               {[]byte("MM\x00*"), 0},
		"empty":               {nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := exifOrientation(tc.tiff); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

// Pictures are as large as people see them: 320x400 is stored.
func TestProbeTurnedPictures(t *testing.T) {
	exif := func(n uint16) []byte { return app1(exifPrefix, orientation(n)) }
	xmp := app1([]byte("http://ns.adobe.com/xap/1.0/\x00<x/>"))
	type want struct{ orientation, width, height int }
	upright, turned := want{0, 320, 400}, want{6, 400, 320}
	for name, tc := range map[string]struct {
		file []byte
		want want
	}{
		"jpeg, no exif":              {withSegments(t, xmp), upright},
		"jpeg":                       {withSegments(t, exif(6)), turned},
		"jpeg behind xmp":            {withSegments(t, xmp, exif(6)), turned},
		"jpeg, the first counts":     {withSegments(t, exif(6), exif(1)), turned},
		"jpeg, short segment":        {withSegments(t, app1([]byte("Ex")), exif(6)), turned},
		"jpeg, nothing in it":        {withSegments(t, app1(exifPrefix)), upright},
		"jpeg, mirrored":             {withSegments(t, exif(2)), want{2, 320, 400}},
		"jpeg, upside down":          {withSegments(t, exif(3)), want{3, 320, 400}},
		"jpeg, turned and mirrored":  {withSegments(t, exif(5)), want{5, 400, 320}},
		"webp":                       {withChunks(t, chunk("EXIF", orientation(6))), turned},
		"webp, with prefix":          {withChunks(t, chunk("EXIF", exifPrefix, orientation(6))), turned},
		"webp behind others":         {withChunks(t, chunk("XMP ", []byte("odd")), chunk("EXIF", orientation(6))), turned},
		"webp, the first counts":     {withChunks(t, chunk("EXIF", orientation(6)), chunk("EXIF", orientation(1))), turned},
		"webp, large exif":           {withChunks(t, chunk("EXIF", orientation(6), make([]byte, 200<<10))), turned},
		"webp, chunk beyond the end": {withChunks(t, chunk("EXIF", orientation(6))[:30]), turned},
		"webp, a rest":               {withChunks(t, chunk("EXIF", orientation(6)), []byte("rest")), turned},
		"webp, behind the end":       {append(fixture(t, "lossy.webp"), chunk("EXIF", orientation(6))...), upright},
	} {
		t.Run(name, func(t *testing.T) {
			info, err := inspect(tc.file)
			if got := (want{info.Orientation, info.Width, info.Height}); err != nil || got != tc.want {
				t.Errorf("got %v, %v, want %v", got, err, tc.want)
			}
		})
	}
	for name, file := range map[string][]byte{
		"jpeg": withSegments(t, exif(6)[:20])[:22],
		"webp": withChunks(t, chunk("EXIF", orientation(6)))[:len(fixture(t, "lossy.webp"))+10],
	} {
		t.Run(name+" cut in its Exif data", func(t *testing.T) {
			if _, err := inspect(file); err == nil {
				t.Error("accepted")
			}
		})
	}
}

func FuzzExifOrientation(f *testing.F) {
	f.Add(orientation(6))
	f.Add(tiff(binary.LittleEndian, 50, tiffEntry(binary.LittleEndian, 0x0112, 3, 3)))
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := exifOrientation(b); n < 0 || n > 8 {
			t.Error("orientation", n)
		}
	})
}
