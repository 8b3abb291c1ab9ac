package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"
)

// box builds a box around its content.
func box(kind string, content ...[]byte) []byte {
	body := bytes.Join(content, nil)
	b := binary.BigEndian.AppendUint32(nil, uint32(len(body)+smallestBox))
	return append(append(b, kind...), body...)
}

// wideBox builds a box whose size has 64 bits.
func wideBox(kind string, content []byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte("\x00\x00\x00\x01"+kind), uint64(len(content)+16))
	return append(b, content...)
}

// parts splits a file into its top-level boxes, by kind.
func parts(file []byte) map[string][]byte {
	found := map[string][]byte{}
	for len(file) > 0 {
		size := binary.BigEndian.Uint32(file)
		found[string(file[4:8])] = file[:size]
		file = file[size:]
	}
	return found
}

// What stands behind the media of a file that players play does no harm.
func TestProbeMP4Trailing(t *testing.T) {
	file := fixture(t, "h264.mp4")
	of := parts(file)
	ftyp, moov, mdat := of["ftyp"], of["moov"], of["mdat"]
	endless := func(part []byte) []byte { return patch(part, string(part[4:8]), -4, 0, 0, 0, 0) }
	for name, file := range map[string][]byte{
		"zeros":                      slices.Concat(file, make([]byte, 512)),
		"seven zeros":                slices.Concat(file, make([]byte, 7)),
		"line end":                   slices.Concat(file, []byte("\r\n")),
		"text":                       slices.Concat(file, []byte("\r\n--boundary--\r\n")),
		"tag":                        slices.Concat(file, []byte("TAG"), make([]byte, 125)),
		"free":                       slices.Concat(file, box("free", make([]byte, 100))),
		"free, then zeros":           slices.Concat(file, box("skip"), make([]byte, 9)),
		"uuid":                       slices.Concat(file, box("uuid", make([]byte, 40))),
		"cut free":                   slices.Concat(file, box("free", make([]byte, 100))[:50]),
		"impossible size":            slices.Concat(file, []byte("\x00\x00\x00\x05junkjunk")),
		"impossible 64-bit size":     slices.Concat(file, []byte("\x00\x00\x00\x01junk\xff\xff\xff\xff\xff\xff\xff\xff")),
		"cut 64-bit size":            slices.Concat(file, []byte("\x00\x00\x00\x01junk\x00")),
		"free without size":          slices.Concat(file, []byte("\x00\x00\x00\x00free1234567890")),
		"moov without size":          slices.Concat(ftyp, mdat, endless(moov)),
		"moov without size, padded":  slices.Concat(ftyp, mdat, endless(moov), make([]byte, 64)),
		"mdat without size":          slices.Concat(ftyp, moov, endless(mdat)),
		"64-bit mdat before moov":    slices.Concat(ftyp, wideBox("mdat", mdat[8:]), moov),
		"64-bit everything":          slices.Concat(ftyp, wideBox("moov", moov[8:]), wideBox("mdat", mdat[8:])),
		"uuid, free and wide before": slices.Concat(ftyp, box("uuid", make([]byte, 16)), box("free"), box("wide"), mdat, moov),
		"moov padded with zeros":     slices.Concat(ftyp, box("moov", moov[8:], make([]byte, 20)), mdat),
		"moov padded with 3 bytes":   slices.Concat(ftyp, box("moov", moov[8:], []byte("abc")), mdat),
		"empty mdat, then the other": slices.Concat(ftyp, moov, box("mdat"), mdat),
	} {
		t.Run(name, func(t *testing.T) {
			info, err := inspect(file)
			if err != nil || info.Codec != "h264" || info.Width != 180 || info.Duration == 0 {
				t.Errorf("got %+v, %v", info, err)
			}
		})
	}
}

// Before the media is complete, and where more media is cut off, the same bytes are damage.
func TestProbeMP4DamagedBeforeItsEnd(t *testing.T) {
	of := parts(fixture(t, "h264.mp4"))
	ftyp, moov, mdat := of["ftyp"], of["moov"], of["mdat"]
	for name, tc := range map[string]struct {
		file []byte
		says string
	}{
		"zeros instead of mdat": {slices.Concat(ftyp, moov, make([]byte, 512)), "no media data"},
		"zeros instead of moov": {slices.Concat(ftyp, mdat, make([]byte, 512)), "no index"},
		"zeros before moov":     {slices.Concat(ftyp, mdat, make([]byte, 512), moov), "no index"},
		"line end, no mdat":     {slices.Concat(ftyp, moov, []byte("\r\n")), "cut off"},
		"junk before mdat":      {slices.Concat(ftyp, moov, []byte("\x00\x00\x00\x05junkjunk"), mdat), "impossible size"},
		"second mdat cut":       {slices.Concat(ftyp, moov, mdat, mdat[:len(mdat)-10]), "cut off"},
		"second mdat too small": {slices.Concat(ftyp, moov, mdat, []byte("\x00\x00\x00\x05mdat12345")), "impossible size"},
		"endless moov cut":      {slices.Concat(ftyp, mdat, patch(moov, "moov", -4, 0, 0, 0, 0)[:600]), "cut off"},
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
