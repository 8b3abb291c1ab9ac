package media

import (
	"encoding/binary"
	"io"
	"math"
	"math/bits"
	"time"

	"github.com/abema/go-mp4"
)

// mp4Samples sums up the samples of a track.
type mp4Samples struct {
	count, units, bytes uint64
	fragmented          bool // some samples are in fragments
	// unknown means that some samples have no duration, or that the sum is too large to be
	// true.
	unknown bool
}

// addTimes adds samples that last the same time each.
func (s *mp4Samples) addTimes(count, units uint64) {
	s.count += count
	s.unknown = s.unknown || !addProduct(&s.units, count, units)
}

// addSizes adds the sizes of samples.
func (s *mp4Samples) addSizes(count, size uint64) {
	s.unknown = s.unknown || !addProduct(&s.bytes, count, size)
}

// addProduct adds a*b to sum, and reports whether the result fits.
func addProduct(sum *uint64, a, b uint64) bool {
	hi, lo := bits.Mul64(a, b)
	total, carry := bits.Add64(*sum, lo, 0)
	*sum = total
	return hi == 0 && carry == 0
}

// rate returns the average number of samples in 1000 seconds, or 0 if it is unknown.
func (s *mp4Samples) rate(scale uint32) int {
	if s.unknown {
		return 0
	}
	return int(min(perTime(s.count, 1000*uint64(scale), s.units), math.MaxInt32))
}

// bitRate returns the average number of bits a second, or 0 if it is unknown.
func (s *mp4Samples) bitRate(scale uint32) int64 {
	if s.unknown {
		return 0
	}
	return int64(min(perTime(s.bytes, 8*uint64(scale), s.units), math.MaxInt64))
}

// perTime returns amount*factor/units, rounded to the nearest. It is 0 for no units.
func perTime(amount, factor, units uint64) uint64 {
	if units == 0 {
		return 0
	}
	hi, lo := bits.Mul64(amount, factor)
	lo, carry := bits.Add64(lo, units/2, 0)
	if hi += carry; hi >= units {
		return math.MaxUint64
	}
	rate, _ := bits.Div64(hi, lo, units)
	return rate
}

// length returns how long the movie lasts, or 0 if it does not tell. The duration in the
// head of a fragmented movie is zero, or that of its first part, so its samples count.
func (p *mp4Probe) length(video *mp4Track) time.Duration {
	fragmented := false
	var longest time.Duration
	for _, t := range p.tracks {
		if t.video || t.sound {
			fragmented = fragmented || t.samples.fragmented
			longest = max(longest, t.length())
		}
	}
	if video.length() == 0 {
		longest = 0 // the sound alone does not tell
	}
	if fragmented {
		return firstKnown(longest, p.fragments)
	}
	return firstKnown(p.duration, p.fragments, video.duration, longest)
}

// length returns how long the samples of a track last, or 0 if it is unknown.
func (t *mp4Track) length() time.Duration {
	if t.samples.unknown {
		return 0
	}
	d, err := boxDuration(t.samples.units, 1, t.scale)
	if err != nil {
		return 0
	}
	return d
}

func firstKnown(durations ...time.Duration) time.Duration {
	for _, d := range durations {
		if d > 0 {
			return d
		}
	}
	return 0
}

// fixed reads the first n bytes of a box, and returns how many are left in it.
func (p *mp4Probe) fixed(box boxHeader, n int64) (b []byte, left int64, err error) {
	if box.payload < n {
		return nil, 0, reject("video is damaged: its " + box.kind.String() + " box is not readable")
	}
	b = make([]byte, n)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return nil, 0, noEOF(err)
	}
	return b, box.payload - n, nil
}

// entries calls f with each of the n entries of size bytes that come next, as far as the left
// bytes of the box hold them, and skips the rest.
func (p *mp4Probe) entries(left int64, n uint32, size int, f func([]byte)) error {
	count := min(int64(n), left/int64(size))
	if p.entriesLeft -= count; p.entriesLeft < 0 {
		return errTooManyBoxes
	}
	for range count {
		b, err := p.r.Peek(size)
		if len(b) < size {
			return noEOF(err)
		}
		f(b)
		if _, err := p.r.Discard(size); err != nil {
			return err
		}
	}
	return skip(p.r, left-count*int64(size))
}

// stts reads how long the samples of a track last, in runs of equal ones.
func (p *mp4Probe) stts(box boxHeader) error {
	const entry = 8 // count, duration
	head, left, err := p.fixed(box, 8)
	if err != nil {
		return err
	}
	samples := &p.track.samples
	return p.entries(left, binary.BigEndian.Uint32(head[4:]), entry, func(b []byte) {
		samples.addTimes(uint64(binary.BigEndian.Uint32(b)), uint64(binary.BigEndian.Uint32(b[4:])))
	})
}

// stsz reads how large the samples of a track are: one size for all, or one for each.
func (p *mp4Probe) stsz(box boxHeader) error {
	head, left, err := p.fixed(box, 12)
	if err != nil {
		return err
	}
	samples := &p.track.samples
	size, count := binary.BigEndian.Uint32(head[4:]), binary.BigEndian.Uint32(head[8:])
	if size > 0 {
		samples.addSizes(uint64(count), uint64(size))
		return skip(p.r, left)
	}
	return p.entries(left, count, 4, func(b []byte) {
		samples.addSizes(1, uint64(binary.BigEndian.Uint32(b)))
	})
}

// sampleDefaults are the duration and size of samples in fragments that say none.
type sampleDefaults struct{ duration, size uint32 }

// mp4Run is the part of a fragment that belongs to one track. track is nil if the movie has
// no such track.
type mp4Run struct {
	track *mp4Track
	sampleDefaults
}

// parseTrex reads the defaults of a track.
func (p *mp4Probe) parseTrex(b []byte) error {
	var trex mp4.Trex
	if err := unmarshalBox(b, &trex); err != nil {
		return err
	}
	if p.defaults == nil {
		p.defaults = map[uint32]sampleDefaults{}
	}
	if len(p.defaults) == maxTracks {
		return reject("video has too many tracks")
	}
	p.defaults[trex.TrackID] = sampleDefaults{trex.DefaultSampleDuration, trex.DefaultSampleSize}
	return nil
}

// parseTfhd reads which track a part of a fragment belongs to, and its own defaults.
func (p *mp4Probe) parseTfhd(b []byte) error {
	const hasDuration, hasSize = 0x8, 0x10
	var tfhd mp4.Tfhd
	if err := unmarshalBox(b, &tfhd); err != nil {
		return err
	}
	p.run = mp4Run{sampleDefaults: p.defaults[tfhd.TrackID]}
	for _, t := range p.tracks {
		if t.id == tfhd.TrackID {
			p.run.track = t
			break
		}
	}
	if tfhd.CheckFlag(hasDuration) {
		p.run.duration = tfhd.DefaultSampleDuration
	}
	if tfhd.CheckFlag(hasSize) {
		p.run.size = tfhd.DefaultSampleSize
	}
	return nil
}

// trun reads the samples of a fragment: ISO/IEC 14496-12 8.8.8. Each has up to four fields,
// those that the flags name.
func (p *mp4Probe) trun(box boxHeader) error {
	const (
		hasOffset, hasFirstFlags               = 0x1, 0x4
		hasDuration, hasSize, hasFlags, hasCTS = 0x100, 0x200, 0x400, 0x800
	)
	head, left, err := p.fixed(box, 8)
	if err != nil {
		return err
	}
	flags, count := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[4:])
	fields := func(flagsToCount ...uint32) (size int64) {
		for _, flag := range flagsToCount {
			if flags&flag != 0 {
				size += 4
			}
		}
		return size
	}
	before := min(left, fields(hasOffset, hasFirstFlags))
	if err := skip(p.r, before); err != nil {
		return err
	}
	left -= before
	if p.run.track == nil || count == 0 {
		return skip(p.r, left)
	}
	samples := &p.run.track.samples
	samples.fragmented = true
	if flags&hasDuration == 0 {
		samples.addTimes(uint64(count), uint64(p.run.duration))
		samples.unknown = samples.unknown || p.run.duration == 0
	}
	if flags&hasSize == 0 {
		samples.addSizes(uint64(count), uint64(p.run.size))
	}
	entry := fields(hasDuration, hasSize, hasFlags, hasCTS)
	if entry == 0 {
		return skip(p.r, left)
	}
	return p.entries(left, count, int(entry), func(b []byte) {
		if flags&hasDuration != 0 {
			samples.addTimes(1, uint64(binary.BigEndian.Uint32(b)))
			b = b[4:]
		}
		if flags&hasSize != 0 {
			samples.addSizes(1, uint64(binary.BigEndian.Uint32(b)))
		}
	})
}
