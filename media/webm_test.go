package media

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// endless is a size that is unknown.
var endless = []byte{0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

func elementID(id uint32) []byte { return bytes.TrimLeft(words(id), "\x00") }

// element builds an element around its content.
func element(id uint32, content ...[]byte) []byte {
	body := bytes.Join(content, nil)
	size := binary.BigEndian.AppendUint64(nil, uint64(len(body))|1<<56)
	return slices.Concat(elementID(id), size, body)
}

// liveWebM builds a recording like a browser's, with a VP8 track 1 and an Opus track 2.
func liveWebM(codec string, media ...[]byte) []byte {
	video := element(idTrackEntry, element(idTrackNumber, []byte{1}), element(idTrackType, []byte{1}), element(idCodecID, []byte(codec)),
		element(idVideo, element(idPixelWidth, []byte{2, 0}), element(idPixelHeight, []byte{3, 0})))
	sound := element(idTrackEntry, element(idTrackNumber, []byte{2}), element(idTrackType, []byte{2}), element(idCodecID, []byte("A_OPUS")))
	return slices.Concat(element(idEBML, element(idDocType, []byte("webm"))), elementID(idSegment), endless,
		element(idInfo, element(idTimestampScale, []byte{0x0f, 0x42, 0x40})), element(idTracks, video, sound), bytes.Join(media, nil))
}

func cluster(at byte, blocks ...[]byte) []byte {
	return element(idCluster, element(idTimestamp, []byte{at}), bytes.Join(blocks, nil))
}

// liveCluster is a cluster whose size is unknown.
func liveCluster(at byte, blocks ...[]byte) []byte {
	return slices.Concat(elementID(idCluster), endless, element(idTimestamp, []byte{at}), bytes.Join(blocks, nil))
}

// block builds a block; at is in milliseconds after the cluster's time.
func block(track byte, at int16, flags byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0x80 | track}, uint16(at)), flags, 'd', 'a', 't', 'a')
}

func frame(at int16) []byte { return element(idSimpleBlock, block(1, at, 0x80)) }

func TestProbeWebMTimes(t *testing.T) {
	for name, tc := range map[string]struct {
		media []byte
		lasts time.Duration
		rate  int
	}{
		"sizes known":      {slices.Concat(cluster(0, frame(0), frame(40)), cluster(80, frame(0), frame(40))), 160 * time.Millisecond, 25_000},
		"sizes unknown":    {slices.Concat(liveCluster(0, frame(0), frame(40)), liveCluster(80, frame(0), frame(40))), 160 * time.Millisecond, 25_000},
		"groups of blocks": {cluster(0, element(idBlockGroup, element(idBlock, block(1, 0, 0))), element(idBlockGroup, element(idBlock, block(1, 100, 0)), element(0x9b, []byte{100}))), 200 * time.Millisecond, 10_000},
		"hidden frames":    {cluster(0, frame(0), element(idSimpleBlock, block(1, 20, 0x08)), frame(40), frame(80)), 120 * time.Millisecond, 25_000},
		"sound is longer":  {cluster(0, frame(0), element(idSimpleBlock, block(2, 990, 0)), frame(50)), 1040 * time.Millisecond, 20_000},
		"begins late":      {cluster(200, frame(0), frame(40)), 80 * time.Millisecond, 25_000},
		"out of order":     {cluster(100, frame(40), frame(-40), frame(0)), 120 * time.Millisecond, 25_000},
		"indexes between":  {slices.Concat(cluster(0, frame(0)), element(0x1c53bb6b, make([]byte, 99)), cluster(100, frame(0))), 200 * time.Millisecond, 10_000},
		"one frame":        {cluster(0, frame(0)), 0, 0},
		"no frames":        {cluster(0, element(idSimpleBlock, block(2, 0, 0)), element(idSimpleBlock, block(2, 500, 0))), 0, 0},
		"all at one time":  {cluster(0, frame(7), frame(7)), 0, 0},
		"zeros behind":     {slices.Concat(liveCluster(0, frame(0), frame(40)), make([]byte, 100)), 80 * time.Millisecond, 25_000},
		"cut":              {slices.Concat(liveCluster(0, frame(0), frame(40)), frame(80)[:11]), 80 * time.Millisecond, 25_000},
		"damaged block":    {slices.Concat(liveCluster(0, frame(0), frame(40)), element(idSimpleBlock, []byte{0, 0})), 80 * time.Millisecond, 25_000},
		"impossible time":  {slices.Concat(cluster(0, frame(0), frame(40)), element(idCluster, element(idTimestamp, bytes.Repeat([]byte{0xff}, 8)), frame(0))), 80 * time.Millisecond, 25_000},
		"endless element":  {slices.Concat(cluster(0, frame(0), frame(40)), elementID(idSimpleBlock), endless, block(1, 80, 0)), 80 * time.Millisecond, 25_000},
		"endless cues":     {slices.Concat(cluster(0, frame(0), frame(40)), elementID(0x1c53bb6b), endless, cluster(100, frame(0))), 80 * time.Millisecond, 25_000},
	} {
		t.Run(name, func(t *testing.T) {
			info, err := inspect(liveWebM("V_VP8", tc.media))
			if err != nil || info.Duration != tc.lasts || info.FramesPer1000s != tc.rate {
				t.Errorf("lasts %s, %d frames in 1000 s, %v; want %s, %d", info.Duration, info.FramesPer1000s, err, tc.lasts, tc.rate)
			}
		})
	}
}

// A codec that cannot be shown or stored is not passed on.
func TestProbeWebMCodec(t *testing.T) {
	for id, want := range map[string]string{
		"V_VP9": "vp9", "V_VP8\x00\x00": "vp8", "V_MPEG4/ISO/AVC": "V_MPEG4/ISO/AVC", "": "",
		"V_\x00VP8": "unknown", "V_\xff": "unknown", strings.Repeat("V", 51): "unknown",
	} {
		if info, err := inspect(liveWebM(id, cluster(0, frame(0)))); err != nil || info.Codec != want {
			t.Errorf("%q: got %q, %v, want %q", id, info.Codec, err, want)
		}
	}
}

// A reader that fails among the frames is not mistaken for the end of the file.
func TestProbeWebMPassesReadErrors(t *testing.T) {
	broken := errors.New("connection lost")
	file := fixture(t, "live.webm")
	for n := 1; n < len(file); n += 13 {
		r := io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(broken))
		if _, err := probeWebM(bufio.NewReader(r)); !errors.Is(err, broken) {
			t.Fatalf("after %d bytes: err = %v", n, err)
		}
	}
}
