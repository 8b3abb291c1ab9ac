package media

import (
	"bufio"
	"io"
	"math"
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
	idTrackType      = 0x83
	idCodecID        = 0x86
	idVideo          = 0xe0
	idPixelWidth     = 0xb0
	idPixelHeight    = 0xba
	idCluster        = 0x1f43b675
)

// maxElements is how many elements may precede the first cluster.
const maxElements = 1000

var errWebMDamaged = reject("WebM video is damaged: its header is not readable")

// probeWebM reads what comes before the media data of a WebM file, and checks that the file
// is as long as it says. Recordings of browsers have neither a length nor a duration.
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
	width, height uint64
	codec         string
}

func (p *webmProbe) info() (Info, error) {
	const maxSide = math.MaxUint16
	switch {
	case !p.video:
		return Info{}, reject("file has no video track")
	case p.width == 0 || p.height == 0 || p.width > maxSide || p.height > maxSide:
		return Info{}, reject("video track has no size in pixels")
	}
	ns := p.duration * float64(p.scale)
	if math.IsNaN(ns) || ns < 0 || ns >= math.MaxInt64 {
		return Info{}, errImpossibleDuration
	}
	return Info{
		Duration: time.Duration(ns),
		Width:    int(p.width),
		Height:   int(p.height),
		Codec:    webmCodecName(p.codec),
	}, nil
}

// segment reads up to the first cluster and skips the rest.
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
			rest, err := skipAll(r)
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
		p.video, p.codec, p.width, p.height = true, track.codec, track.width, track.height
	}
}

func webmCodecName(id string) string {
	switch id {
	case "V_VP8":
		return "vp8"
	case "V_VP9":
		return "vp9"
	case "V_AV1":
		return "av1"
	}
	return id
}
