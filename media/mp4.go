package media

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"time"

	"github.com/abema/go-mp4"
)

const (
	// maxBoxes is how many boxes of one file are read. A fragmented video has about twelve
	// per fragment, so 20 minutes fit even if each frame has its own.
	maxBoxes = 1_000_000
	// maxEntries is how many entries of sample tables are read. A frame has up to three, so
	// 12 hours of 60 frames a second fit.
	maxEntries = 8_000_000
	// maxBoxDepth is how deep boxes may be nested. The deepest that is needed is stbl: moov,
	// trak, mdia, minf, stbl.
	maxBoxDepth = 8
	// smallestBox is the size of a box without content, in bytes.
	smallestBox = 8
)

var errTooManyBoxes = reject("video is built of too many parts")

// probeMP4 reads the boxes of an MP4 or MOV file. It enters the containers that lead to the
// tracks and fragments, sums up how many frames they have, how long and how large they are,
// and skips all other boxes.
func probeMP4(r *bufio.Reader) (Info, error) {
	p := mp4Probe{r: r, boxesLeft: maxBoxes, entriesLeft: maxEntries, track: &mp4Track{}}
	if err := p.file(); err != nil {
		return Info{}, truncated(err, "video")
	}
	return p.info()
}

type mp4Probe struct {
	r           *bufio.Reader
	boxesLeft   int
	entriesLeft int64

	movie     bool // there was a moov box
	data      bool // there was an mdat box
	duration  time.Duration
	fragments time.Duration // of all fragments, as the movie says
	scale     uint32        // units of a second in the movie's durations
	track     *mp4Track     // the one that is being read
	tracks    []*mp4Track
	defaults  map[uint32]sampleDefaults // of samples in fragments, by track
	run       mp4Run
}

func (p *mp4Probe) info() (Info, error) {
	video := p.firstVideo()
	switch {
	case !p.movie:
		return Info{}, reject("video has no index (moov box): it is cut off, or its recording was not finished")
	case video == nil:
		return Info{}, reject("file has no video track")
	case !p.data:
		return Info{}, reject("video has no media data (mdat box)")
	case video.width == 0 || video.height == 0:
		return Info{}, reject("video track has no size in pixels")
	}
	info := Info{
		Duration:       p.length(video),
		Width:          video.width,
		Height:         video.height,
		Codec:          codecName(video.coding),
		FramesPer1000s: video.samples.rate(video.scale),
		BitRate:        video.samples.bitRate(video.scale),
	}
	if sound := p.sound(); sound != nil {
		info.AudioCodec, info.AudioRate, info.AudioChannels = codecName(sound.coding), sound.rate, sound.channels
	}
	return info, nil
}

// file reads the boxes of the file itself. Behind the movie and its data only further media
// must be whole. Whatever else stands there is ignored, even if it is no box: recorders and
// clients leave zeros, tags or a line end, and players ignore them as well.
func (p *mp4Probe) file() error {
	for {
		head, err := p.r.Peek(smallestBox)
		if len(head) == 0 && errors.Is(err, io.EOF) {
			return nil
		}
		if p.movie && p.data && !isMedia(head) {
			err = p.skipTrailing()
		} else {
			_, err = p.readBox(toEnd, 0)
		}
		if err != nil {
			return err
		}
	}
}

// isMedia reports whether a box begins here that a player needs.
func isMedia(head []byte) bool {
	if len(head) < smallestBox {
		return false
	}
	switch mp4.BoxType(head[4:smallestBox]) {
	case mp4.BoxTypeMoov(), mp4.BoxTypeMoof(), mp4.BoxTypeMdat():
		return true
	}
	return false
}

// skipTrailing skips one box, or the rest of the file if there is no box.
func (p *mp4Probe) skipTrailing() error {
	if err := p.countBox(); err != nil {
		return err
	}
	box, err := p.readHeader()
	if _, damaged := errors.AsType[*RejectedError](err); damaged {
		_, err = skipAll(p.r)
	} else if err == nil {
		_, err = skipBox(p.r, box.payload)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// walk reads the boxes in the next left bytes, or up to the end of the file. All containers are entered here, so the limit
// of the depth holds for every kind.
func (p *mp4Probe) walk(left int64, depth int) error {
	if depth > maxBoxDepth {
		return reject("video is damaged: its parts are nested too deep")
	}
	for left > 0 {
		if _, err := p.r.Peek(1); left == toEnd && errors.Is(err, io.EOF) {
			return nil
		}
		if left < smallestBox {
			return skip(p.r, left)
		}
		n, err := p.readBox(left, depth)
		if err != nil {
			return err
		}
		if left != toEnd {
			left -= n
		}
	}
	return nil
}

// readBox reads a box, which has left bytes at most, and returns how many it has.
func (p *mp4Probe) readBox(left int64, depth int) (int64, error) {
	if err := p.countBox(); err != nil {
		return 0, err
	}
	box, err := p.readHeader()
	if err != nil {
		return 0, err
	}
	if left != toEnd {
		left -= box.headerSize
	}
	if box.payload == toEnd {
		switch {
		case depth == 0:
		case box.kind == mp4.BoxType{}: // zeros that fill the container up
			box.payload = left
		default:
			return 0, reject("video is damaged: a part has no size")
		}
	} else if box.payload > left {
		return 0, reject("video is damaged: a part is larger than the one around it")
	}
	return box.headerSize + box.payload, p.box(box, depth)
}

func (p *mp4Probe) countBox() error {
	if p.boxesLeft--; p.boxesLeft < 0 {
		return errTooManyBoxes
	}
	return nil
}

// toEnd is the size of what ends with the file.
const toEnd = math.MaxInt64

// boxHeader is the header of a box.
type boxHeader struct {
	kind       mp4.BoxType
	headerSize int64
	payload    int64 // toEnd if the header has no size: the box ends with the file
}

func (p *mp4Probe) readHeader() (boxHeader, error) {
	var b [16]byte
	if _, err := io.ReadFull(p.r, b[:smallestBox]); err != nil {
		return boxHeader{}, noEOF(err)
	}
	h := boxHeader{kind: mp4.BoxType(b[4:8]), headerSize: smallestBox}
	size := uint64(binary.BigEndian.Uint32(b[:4]))
	switch size {
	case 0:
		h.payload = toEnd
		return h, nil
	case 1: // the size did not fit: it follows as 64 bits
		if _, err := io.ReadFull(p.r, b[smallestBox:]); err != nil {
			return boxHeader{}, noEOF(err)
		}
		h.headerSize = 16
		size = binary.BigEndian.Uint64(b[smallestBox:])
	}
	if size < uint64(h.headerSize) || size > math.MaxInt64 {
		return boxHeader{}, reject("video is damaged: a part has an impossible size")
	}
	h.payload = int64(size) - h.headerSize
	return h, nil
}

// noEOF turns io.EOF into io.ErrUnexpectedEOF, for a file that ends inside an element.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// box handles one box and leaves the reader at its end.
func (p *mp4Probe) box(box boxHeader, depth int) error {
	switch box.kind {
	case mp4.BoxTypeMdat():
		n, err := skipBox(p.r, box.payload)
		p.data = p.data || n > 0
		return err
	case mp4.BoxTypeMoov():
		p.movie = true
		return p.walk(box.payload, depth+1)
	case mp4.BoxTypeTrak():
		return p.trak(box, depth)
	case mp4.BoxTypeMdia(), mp4.BoxTypeMinf(), mp4.BoxTypeStbl(), mp4.BoxTypeMvex(), mp4.BoxTypeMoof():
		return p.walk(box.payload, depth+1)
	case mp4.BoxTypeTraf():
		p.run = mp4Run{}
		return p.walk(box.payload, depth+1)
	case mp4.BoxTypeMvhd(), mp4.BoxTypeMehd(), mp4.BoxTypeTkhd(), mp4.BoxTypeMdhd(), mp4.BoxTypeHdlr(), mp4.BoxTypeStsd(),
		mp4.BoxTypeTrex(), mp4.BoxTypeTfhd():
		return p.leaf(box)
	case mp4.BoxTypeStts():
		return p.stts(box)
	case mp4.BoxTypeStsz():
		return p.stsz(box)
	case mp4.BoxTypeTrun():
		return p.trun(box)
	}
	_, err := skipBox(p.r, box.payload)
	return err
}

// skipBox skips the payload of a box and returns its size.
func skipBox(r *bufio.Reader, payload int64) (int64, error) {
	if payload == toEnd {
		return skipAll(r)
	}
	return payload, skip(r, payload)
}
