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
	// maxBoxes is how many boxes of one file are read. A fragmented video has two to four
	// per fragment of a second or more, so hours of video fit.
	maxBoxes = 200_000
	// maxBoxDepth is how deep boxes may be nested: moov, trak, mdia, minf, stbl.
	maxBoxDepth = 8
	// smallestBox is the size of a box without content, in bytes.
	smallestBox = 8
)

var errTooManyBoxes = reject("video is built of too many parts")

// probeMP4 reads the boxes of an MP4 or MOV file. It enters the containers that lead to the
// tracks, reads a few small boxes, and skips all others, such as sample tables and media
// data.
func probeMP4(r *bufio.Reader) (Info, error) {
	p := mp4Probe{r: r, boxesLeft: maxBoxes}
	if err := p.walk(math.MaxInt64, 0); err != nil {
		return Info{}, truncated(err, "video")
	}
	return p.info()
}

type mp4Probe struct {
	r         *bufio.Reader
	boxesLeft int

	movie    bool // there was a moov box
	data     bool // there was an mdat box
	duration time.Duration
	scale    uint32 // units of a second in the movie's durations
	track    mp4Track
	video    *mp4Track // the first video track
}

func (p *mp4Probe) info() (Info, error) {
	switch {
	case !p.movie:
		return Info{}, reject("video has no index (moov box): it is cut off, or its recording was not finished")
	case p.video == nil:
		return Info{}, reject("file has no video track")
	case !p.data:
		return Info{}, reject("video has no media data (mdat box)")
	case p.video.width == 0 || p.video.height == 0:
		return Info{}, reject("video track has no size in pixels")
	}
	duration := p.duration
	if duration == 0 {
		duration = p.video.duration
	}
	return Info{
		Duration: duration,
		Width:    p.video.width,
		Height:   p.video.height,
		Codec:    codecName(p.video.coding),
	}, nil
}

// walk reads the boxes in the next size bytes. For the file itself size is unlimited,
// because its length is not known before it ends.
func (p *mp4Probe) walk(size int64, depth int) error {
	top := depth == 0
	for size > 0 {
		if _, err := p.r.Peek(1); top && errors.Is(err, io.EOF) {
			return nil
		}
		if size < smallestBox {
			return skip(p.r, size)
		}
		if p.boxesLeft--; p.boxesLeft < 0 {
			return errTooManyBoxes
		}
		box, err := p.readHeader()
		if err != nil {
			return err
		}
		if box.toEOF {
			return p.lastBox(box, top)
		}
		size -= box.headerSize
		if box.payload > size {
			return reject("video is damaged: a part is larger than the one around it")
		}
		if err := p.box(box, depth); err != nil {
			return err
		}
		size -= box.payload
	}
	return nil
}

// boxHeader is the header of a box. toEOF marks a box without a size, which ends with the
// file.
type boxHeader struct {
	kind       mp4.BoxType
	headerSize int64
	payload    int64
	toEOF      bool
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
		h.toEOF = true
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

// lastBox handles a box that ends with the file. Only media data may do that.
func (p *mp4Probe) lastBox(box boxHeader, top bool) error {
	if !top || box.kind != mp4.BoxTypeMdat() {
		return reject("video is damaged: a part has no size")
	}
	n, err := skipAll(p.r)
	p.data = p.data || n > 0
	return err
}

// box handles one box and leaves the reader at its end.
func (p *mp4Probe) box(box boxHeader, depth int) error {
	switch box.kind {
	case mp4.BoxTypeMdat():
		p.data = p.data || box.payload > 0
	case mp4.BoxTypeMoov():
		p.movie = true
		return p.walk(box.payload, depth+1)
	case mp4.BoxTypeTrak():
		return p.trak(box, depth)
	case mp4.BoxTypeMdia(), mp4.BoxTypeMinf(), mp4.BoxTypeStbl(), mp4.BoxTypeMvex():
		if depth >= maxBoxDepth {
			return reject("video is damaged: its parts are nested too deep")
		}
		return p.walk(box.payload, depth+1)
	case mp4.BoxTypeMvhd(), mp4.BoxTypeMehd(), mp4.BoxTypeTkhd(), mp4.BoxTypeMdhd(), mp4.BoxTypeHdlr(), mp4.BoxTypeStsd():
		return p.leaf(box)
	}
	return skip(p.r, box.payload)
}
