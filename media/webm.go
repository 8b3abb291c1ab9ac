package media

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"regexp"
	"strings"
	"time"
)

// EBML element ids, RFC 8794 and RFC 9559.
const (
	idEBML           = 0x1a45dfa3
	idDocType        = 0x4282
	idSegment        = 0x18538067
	idInfo           = 0x1549a966
	idTimestampScale = 0x2ad7b1
	idDuration       = 0x4489
	idTracks         = 0x1654ae6b
	idTrackEntry     = 0xae
	idTrackNumber    = 0xd7
	idTrackType      = 0x83
	idCodecID        = 0x86
	idVideo          = 0xe0
	idPixelWidth     = 0xb0
	idPixelHeight    = 0xba
	idCluster        = 0x1f43b675
	idTimestamp      = 0xe7
	idSimpleBlock    = 0xa3
	idBlockGroup     = 0xa0
	idBlock          = 0xa1
)

// maxElements is how many elements may precede the first cluster.
const maxElements = 1000

// maxBlocks is how many elements of the clusters are read: about ten hours of video.
const maxBlocks = 4_000_000

var errWebMDamaged = reject("WebM video is damaged: its header is not readable")

// probeWebM reads what comes before the media data of a WebM file and the times of its
// frames, and checks that the file is as long as it says. Recordings of browsers have neither
// a length nor a duration: they last as long as their frames.
func probeWebM(r *bufio.Reader) (Info, error) {
	if err := readDocType(r); err != nil {
		return Info{}, truncated(err, "WebM video")
	}
	p := webmProbe{scale: time.Millisecond}
	if err := p.segment(r); err != nil {
		return Info{}, truncated(err, "WebM video")
	}
	return p.info()
}

// readDocType reads the EBML header, which must say "webm". Other Matroska files differ
// only in that.
func readDocType(r *bufio.Reader) error {
	id, header, err := readElement(r)
	if err != nil {
		return err
	}
	docType := ""
	if id != idEBML || !eachChild(header, func(id uint32, b []byte) {
		if id == idDocType {
			docType = string(b)
		}
	}) {
		return errWebMDamaged
	}
	if docType != "webm" {
		return reject("Matroska video is not accepted by the platforms: convert it to MP4")
	}
	return nil
}

type webmProbe struct {
	scale         time.Duration // of one unit of duration
	duration      float64       // in units of scale
	video         bool
	number        uint64 // of the video track in blocks
	width, height uint64
	codec         string

	cluster int64     // time of the current cluster
	all     webmTimes // of all tracks
	frames  webmTimes // of the video track
}

// webmTimes sums up the times of blocks, in units of the scale.
type webmTimes struct {
	count       int64
	first, last int64
}

func (t *webmTimes) add(at int64) {
	if t.count == 0 {
		t.first, t.last = at, at
	}
	t.count++
	t.first, t.last = min(t.first, at), max(t.last, at)
}

// step is the average time between two blocks, 0 if it is unknown.
func (t *webmTimes) step() float64 {
	if t.count < 2 {
		return 0
	}
	return float64(t.last-t.first) / float64(t.count-1)
}

// rate returns the average number of frames in 1000 seconds, or 0 if it is unknown.
func (p *webmProbe) rate() int {
	step := p.frames.step() * float64(p.scale)
	if step <= 0 {
		return 0
	}
	return int(min(math.Round(1000*float64(time.Second)/step), math.MaxInt32))
}

// length returns how long the video lasts in units of the scale, or 0 if it does not tell.
// The last frame counts like the average one.
func (p *webmProbe) length() float64 {
	if p.duration != 0 || p.frames.step() == 0 {
		return p.duration
	}
	return float64(p.all.last-p.all.first) + p.frames.step()
}

func (p *webmProbe) info() (Info, error) {
	const maxSide = math.MaxUint16
	switch {
	case !p.video:
		return Info{}, reject("file has no video track")
	case p.width == 0 || p.height == 0 || p.width > maxSide || p.height > maxSide:
		return Info{}, reject("video track has no size in pixels")
	}
	ns := p.length() * float64(p.scale)
	if math.IsNaN(ns) || ns < 0 || ns >= math.MaxInt64 {
		return Info{}, errImpossibleDuration
	}
	return Info{
		Duration:       time.Duration(ns),
		Width:          int(p.width),
		Height:         int(p.height),
		Codec:          webmCodecName(p.codec),
		FramesPer1000s: p.rate(),
	}, nil
}

// segment reads up to the first cluster, and then the clusters.
func (p *webmProbe) segment(r *bufio.Reader) error {
	id, size, _, err := readElementHeader(r)
	if err != nil {
		return err
	}
	if id != idSegment {
		return errWebMDamaged
	}
	read := int64(0)
	for range maxElements {
		id, n, headerLen, err := readElementHeader(r)
		if err != nil {
			return err
		}
		read += headerLen
		if id == idCluster {
			rest, err := p.media(r)
			if err == nil && size != unknownSize && rest < size-read {
				return io.ErrUnexpectedEOF
			}
			return err
		}
		if n == unknownSize {
			return errWebMDamaged
		}
		if err := p.element(r, id, n); err != nil {
			return err
		}
		read += n
	}
	return reject("WebM video has no media data")
}

// media reads the clusters and returns how many bytes follow. Players take files whose
// clusters are damaged or cut off, so it refuses none: what it cannot read is skipped.
func (p *webmProbe) media(r *bufio.Reader) (int64, error) {
	counted := &countingReader{r: r}
	rest := bufio.NewReader(counted)
	err := p.clusters(rest)
	if _, damaged := errors.AsType[*RejectedError](err); damaged || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	if err == nil {
		_, err = skipAll(rest)
	}
	return counted.n, err
}

// countingReader counts what is read.
type countingReader struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += int64(n)
	return n, err
}

// clusters reads the times of blocks. It enters clusters and groups of blocks, whose size may
// be unknown, by going on with the element behind their header.
func (p *webmProbe) clusters(r *bufio.Reader) error {
	for range maxBlocks {
		id, n, _, err := readElementHeader(r)
		if err != nil {
			return err
		}
		switch id {
		case idCluster, idBlockGroup:
			continue
		case idTimestamp:
			err = p.timestamp(r, n)
		case idSimpleBlock, idBlock:
			err = p.block(r, n)
		default:
			err = skipElement(r, n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func skipElement(r *bufio.Reader, n int64) error {
	if n == unknownSize {
		return errWebMDamaged
	}
	return skip(r, n)
}

func (p *webmProbe) timestamp(r *bufio.Reader, n int64) error {
	b, err := readPayload(r, n)
	if err != nil {
		return err
	}
	const longest = math.MaxInt64 / 4 // leaves room to add and to subtract
	at := ebmlUint(b)
	if at > longest {
		return errWebMDamaged
	}
	p.cluster = int64(at)
	return nil
}

// block reads the head of a block: the number of its track, its time within the cluster, and
// its flags.
func (p *webmProbe) block(r *bufio.Reader, n int64) error {
	const (
		longestHead = 8 + 3
		invisible   = 0x08
	)
	head, err := r.Peek(int(max(0, min(n, longestHead))))
	if err != nil {
		return noEOF(err)
	}
	b := &sliceReader{b: head}
	_, track, _, err := readVint(b)
	if err != nil || len(b.b) < 3 {
		return errWebMDamaged
	}
	at := p.cluster + int64(int16(binary.BigEndian.Uint16(b.b)))
	p.all.add(at)
	if flags := b.b[2]; track == p.number && flags&invisible == 0 {
		p.frames.add(at)
	}
	return skipElement(r, n)
}

func (p *webmProbe) element(r *bufio.Reader, id uint32, n int64) error {
	if id != idInfo && id != idTracks {
		return skip(r, n)
	}
	b, err := readPayload(r, n)
	if err != nil {
		return err
	}
	var ok bool
	if id == idInfo {
		ok = eachChild(b, p.infoChild)
	} else {
		ok = eachChild(b, func(id uint32, b []byte) {
			if id == idTrackEntry {
				p.trackEntry(b)
			}
		})
	}
	if !ok {
		return errWebMDamaged
	}
	return nil
}

func (p *webmProbe) infoChild(id uint32, b []byte) {
	switch id {
	case idTimestampScale:
		p.scale = time.Duration(ebmlUint(b))
	case idDuration:
		p.duration = ebmlFloat(b)
	}
}

// trackEntry stores the properties of the first video track.
func (p *webmProbe) trackEntry(b []byte) {
	const videoTrack = 1
	var track webmProbe
	eachChild(b, func(id uint32, b []byte) {
		switch id {
		case idTrackNumber:
			track.number = ebmlUint(b)
		case idTrackType:
			track.video = ebmlUint(b) == videoTrack
		case idCodecID:
			track.codec = string(b)
		case idVideo:
			eachChild(b, func(id uint32, b []byte) {
				switch id {
				case idPixelWidth:
					track.width = ebmlUint(b)
				case idPixelHeight:
					track.height = ebmlUint(b)
				}
			})
		}
	})
	if track.video && !p.video {
		p.video, p.number, p.codec, p.width, p.height = true, track.number, track.codec, track.width, track.height
	}
}

// codecID matches the ids that a codec may have: RFC 9559, 5.1.4.1.20.
var codecID = regexp.MustCompile(`^[A-Z0-9/_.\-]{1,50}$`)

// webmCodecName returns the usual name of a codec, or else its id, if that can be shown.
func webmCodecName(id string) string {
	switch id = strings.TrimRight(id, "\x00"); id { // elements may be filled up with zeros
	case "":
		return ""
	case "V_VP8":
		return "vp8"
	case "V_VP9":
		return "vp9"
	case "V_AV1":
		return "av1"
	}
	if !codecID.MatchString(id) {
		return "unknown"
	}
	return id
}
