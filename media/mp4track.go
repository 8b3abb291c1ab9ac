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

// maxTracks is how many tracks of a file are read. Phones write up to six.
const maxTracks = 64

// mp4Track holds the properties of one trak box, and of the samples that fragments add to it.
type mp4Track struct {
	id            uint32
	video, sound  bool
	width, height int // in pixels, as shown
	duration      time.Duration
	scale         uint32 // units of a second in the durations of the samples
	coding        mp4.BoxType
	channels      int // of sound
	rate          int // of sound, in samples a second
	samples       mp4Samples
}

// trak reads one track.
func (p *mp4Probe) trak(box boxHeader, depth int) error {
	if len(p.tracks) == maxTracks {
		return reject("video has too many tracks")
	}
	track := &mp4Track{}
	p.track = track
	if err := p.walk(box.payload, depth+1); err != nil {
		return err
	}
	p.tracks = append(p.tracks, track)
	return nil
}

// firstVideo returns the first video track, or nil.
func (p *mp4Probe) firstVideo() *mp4Track {
	for _, t := range p.tracks {
		if t.video {
			return t
		}
	}
	return nil
}

// sound returns the sound track that a platform uses: the first with AAC, or else the first.
// New iPhones add spatial sound as a second track.
func (p *mp4Probe) sound() *mp4Track {
	var first *mp4Track
	for _, t := range p.tracks {
		if t.sound && codecName(t.coding) == codecAAC {
			return t
		}
		if t.sound && first == nil {
			first = t
		}
	}
	return first
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
	case mp4.BoxTypeTrex():
		return p.parseTrex(b)
	case mp4.BoxTypeTfhd():
		return p.parseTfhd(b)
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

// parseMehd reads the duration of all fragments.
func (p *mp4Probe) parseMehd(b []byte) (err error) {
	var mehd mp4.Mehd
	if err := unmarshalBox(b, &mehd); err != nil {
		return err
	}
	p.fragments, err = boxDuration(mehd.GetFragmentDuration(), mehd.GetVersion(), p.scale)
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
	p.track.id, p.track.width, p.track.height = tkhd.TrackID, width, height
	return nil
}

func (p *mp4Probe) parseMdhd(b []byte) (err error) {
	var mdhd mp4.Mdhd
	if err := unmarshalBox(b, &mdhd); err != nil {
		return err
	}
	p.track.scale = mdhd.Timescale
	p.track.duration, err = boxDuration(mdhd.GetDuration(), mdhd.GetVersion(), mdhd.Timescale)
	return err
}

// parseHdlr reads the kind of the track. QuickTime has a second hdlr box for the data
// handler in each track, which says neither "vide" nor "soun".
func (p *mp4Probe) parseHdlr(b []byte) error {
	const kindAt = 8 // version and flags, pre_defined
	if len(b) < kindAt+4 {
		return reject("video is damaged: its hdlr box is not readable")
	}
	switch string(b[kindAt : kindAt+4]) {
	case "vide":
		p.track.video = true
	case "soun":
		p.track.sound = true
	}
	return nil
}

// parseStsd reads the codec of the first sample entry, and its sound properties, which mean
// nothing if the track is a video.
func (p *mp4Probe) parseStsd(b []byte) error {
	const (
		entryAt  = 8 // version and flags, entry count
		codingAt = entryAt + 4
	)
	if len(b) < codingAt+4 || binary.BigEndian.Uint32(b[4:]) == 0 {
		return reject("video is damaged: its stsd box is not readable")
	}
	p.track.coding = mp4.BoxType(b[codingAt : codingAt+4])
	p.track.channels, p.track.rate = soundEntry(b[entryAt:])
	return nil
}

// soundEntry reads the channels and the rate of a sound sample entry, 0 if it does not say
// them: ISO/IEC 14496-12 12.2.3, and QuickTime's sound sample description, version 2.
func soundEntry(b []byte) (channels, rate int) {
	const (
		versionAt, channelsAt, rateAt     = 16, 24, 32
		longRateAt, longChannelsAt, after = 40, 48, 52
	)
	if len(b) < rateAt+4 {
		return 0, 0
	}
	if binary.BigEndian.Uint16(b[versionAt:]) != 2 {
		return int(binary.BigEndian.Uint16(b[channelsAt:])), int(binary.BigEndian.Uint32(b[rateAt:]) >> 16) // 16.16 fixed point
	}
	if len(b) < after {
		return 0, 0
	}
	hertz := math.Float64frombits(binary.BigEndian.Uint64(b[longRateAt:]))
	if !(hertz >= 0 && hertz <= math.MaxInt32) { // also false if it is no number
		return 0, 0
	}
	return int(min(binary.BigEndian.Uint32(b[longChannelsAt:]), math.MaxUint16)), int(hertz)
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

const codecAAC = "aac"

// codecNames maps the codings that platforms accept to their usual names.
var codecNames = map[string]string{
	"avc1": "h264", "avc3": "h264",
	"hvc1": "hevc", "hev1": "hevc", "dvh1": "hevc", "dvhe": "hevc",
	"av01": "av1", "vp08": "vp8", "vp09": "vp9",
	"mp4a": codecAAC,
}

// codecName returns the usual name of a coding, or else its own. It is empty if the track
// has none.
func codecName(coding mp4.BoxType) string {
	if name, ok := codecNames[string(coding[:])]; ok {
		return name
	}
	if coding == (mp4.BoxType{}) {
		return ""
	}
	return coding.String()
}
