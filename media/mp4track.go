package media

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"math/bits"
	"time"

	"github.com/abema/go-mp4"
)

// boxPrefix is how many first bytes of a box are read. The needed fields are in the first
// hundred or so.
const boxPrefix = 1 << 10

// mp4Track holds the properties of one trak box.
type mp4Track struct {
	video         bool
	width, height int // in pixels, as shown
	duration      time.Duration
	coding        mp4.BoxType
}

// trak reads one track, and stores it if it is the first video track.
func (p *mp4Probe) trak(box boxHeader, depth int) error {
	p.track = mp4Track{}
	if err := p.walk(box.payload, depth+1); err != nil {
		return err
	}
	if p.track.video && p.video == nil {
		video := p.track
		p.video = &video
	}
	return nil
}

// leaf reads the start of a small box and skips the rest.
func (p *mp4Probe) leaf(box boxHeader) error {
	b := make([]byte, min(box.payload, boxPrefix))
	if _, err := io.ReadFull(p.r, b); err != nil {
		return noEOF(err)
	}
	if err := p.parseLeaf(box.kind, b); err != nil {
		return err
	}
	return skip(p.r, box.payload-int64(len(b)))
}

func (p *mp4Probe) parseLeaf(kind mp4.BoxType, b []byte) error {
	switch kind {
	case mp4.BoxTypeMvhd():
		return p.parseMvhd(b)
	case mp4.BoxTypeMehd():
		return p.parseMehd(b)
	case mp4.BoxTypeTkhd():
		return p.parseTkhd(b)
	case mp4.BoxTypeMdhd():
		return p.parseMdhd(b)
	case mp4.BoxTypeHdlr():
		return p.parseHdlr(b)
	default:
		return p.parseStsd(b)
	}
}

func unmarshalBox(b []byte, box mp4.IBox) error {
	if _, err := mp4.Unmarshal(bytes.NewReader(b), uint64(len(b)), box, mp4.Context{}); err != nil {
		return reject("video is damaged: its " + box.GetType().String() + " box is not readable")
	}
	return nil
}

func (p *mp4Probe) parseMvhd(b []byte) (err error) {
	var mvhd mp4.Mvhd
	if err := unmarshalBox(b, &mvhd); err != nil {
		return err
	}
	p.scale = mvhd.Timescale
	p.duration, err = boxDuration(mvhd.GetDuration(), mvhd.GetVersion(), mvhd.Timescale)
	return err
}

// parseMehd reads the duration of all fragments. A fragmented video has a duration of zero
// in its mvhd box, which comes before this one.
func (p *mp4Probe) parseMehd(b []byte) (err error) {
	var mehd mp4.Mehd
	if err := unmarshalBox(b, &mehd); err != nil {
		return err
	}
	if p.duration == 0 {
		p.duration, err = boxDuration(mehd.GetFragmentDuration(), mehd.GetVersion(), p.scale)
	}
	return err
}

func (p *mp4Probe) parseTkhd(b []byte) error {
	var tkhd mp4.Tkhd
	if err := unmarshalBox(b, &tkhd); err != nil {
		return err
	}
	width, height := int(tkhd.Width>>16), int(tkhd.Height>>16) // 16.16 fixed point
	if quarterTurn := tkhd.Matrix[0] == 0 && tkhd.Matrix[4] == 0; quarterTurn && tkhd.Matrix[1] != 0 {
		width, height = height, width
	}
	p.track.width, p.track.height = width, height
	return nil
}

func (p *mp4Probe) parseMdhd(b []byte) (err error) {
	var mdhd mp4.Mdhd
	if err := unmarshalBox(b, &mdhd); err != nil {
		return err
	}
	p.track.duration, err = boxDuration(mdhd.GetDuration(), mdhd.GetVersion(), mdhd.Timescale)
	return err
}

// parseHdlr reads the kind of the track. QuickTime has a second hdlr box for the data
// handler in each track, which never says "vide".
func (p *mp4Probe) parseHdlr(b []byte) error {
	const kindAt = 8 // version and flags, pre_defined
	if len(b) < kindAt+4 {
		return reject("video is damaged: its hdlr box is not readable")
	}
	p.track.video = p.track.video || string(b[kindAt:kindAt+4]) == "vide"
	return nil
}

// parseStsd reads the codec of the first sample entry.
func (p *mp4Probe) parseStsd(b []byte) error {
	const codingAt = 12 // version and flags, entry count, size of the first entry
	if len(b) < codingAt+4 || binary.BigEndian.Uint32(b[4:]) == 0 {
		return reject("video is damaged: its stsd box is not readable")
	}
	p.track.coding = mp4.BoxType(b[codingAt : codingAt+4])
	return nil
}

// boxDuration converts a duration in units of 1/scale second. All bits set, in the width of
// the box's version, means unknown, as zero does.
func boxDuration(units uint64, version uint8, scale uint32) (time.Duration, error) {
	if scale == 0 || units == math.MaxUint64 || version == 0 && units == math.MaxUint32 {
		return 0, nil
	}
	hi, lo := bits.Mul64(units, uint64(time.Second))
	if hi >= uint64(scale) {
		return 0, errImpossibleDuration
	}
	ns, _ := bits.Div64(hi, lo, uint64(scale))
	if ns > math.MaxInt64 {
		return 0, errImpossibleDuration
	}
	return time.Duration(ns), nil
}

var errImpossibleDuration = reject("video is damaged: it claims an impossible duration")

// codecNames maps the codings that platforms accept to their usual names.
var codecNames = map[string]string{
	"avc1": "h264", "avc3": "h264",
	"hvc1": "hevc", "hev1": "hevc", "dvh1": "hevc", "dvhe": "hevc",
	"av01": "av1", "vp08": "vp8", "vp09": "vp9",
}

func codecName(coding mp4.BoxType) string {
	if name, ok := codecNames[string(coding[:])]; ok {
		return name
	}
	return coding.String()
}
