package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"testing"
	"time"
)

func words(values ...uint32) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// movie builds the head of a fragmented video with a video track of id 1 and 90,000 units a
// second, and what mvex holds.
func movie(mvex ...[]byte) []byte {
	tkhd := make([]byte, 84)
	binary.BigEndian.PutUint32(tkhd[12:], 1)
	binary.BigEndian.PutUint32(tkhd[76:], 540<<16)
	binary.BigEndian.PutUint32(tkhd[80:], 960<<16)
	stbl := box("stbl", box("stsd", words(0, 1, 16), []byte("avc1")), box("stts", words(0, 0)), box("stsz", words(0, 0, 0)))
	mvhd := make([]byte, 100)
	binary.BigEndian.PutUint32(mvhd[12:], 1000)
	return slices.Concat(box("ftyp", []byte("isom")), box("moov",
		box("mvhd", mvhd),
		box("trak", box("tkhd", tkhd), box("mdia",
			box("mdhd", words(0, 0, 0, 90_000, 0, 0)), box("hdlr", words(0, 0), []byte("vide"), make([]byte, 13)), box("minf", stbl))),
		box("mvex", mvex...)))
}

func fragment(traf ...[]byte) []byte {
	return slices.Concat(box("moof", box("traf", traf...)), box("mdat", []byte("data")))
}

func TestProbeMP4Fragments(t *testing.T) {
	trex := box("trex", words(0, 1, 1, 3000, 500, 0))
	noDefault := box("trex", words(0, 1, 1, 0, 0, 0))
	mehd := box("mehd", words(0, 7000))
	tfhd := box("tfhd", words(0, 1))
	// each builds the samples of a fragment, all of the same duration and size.
	each := func(n int, duration, size uint32) []byte {
		return box("trun", words(0x305, uint32(n), 0, 0), bytes.Repeat(words(duration, size), n))
	}
	for name, tc := range map[string]struct {
		file  []byte
		lasts time.Duration
		rate  int
		bits  int64
	}{
		"each sample says its own": {slices.Concat(movie(trex), fragment(tfhd, each(60, 1500, 250)), fragment(tfhd, each(60, 1500, 250))), 2 * time.Second, 60_000, 120_000},
		"defaults of the track":    {slices.Concat(movie(trex), fragment(tfhd, box("trun", words(0, 45)))), 1500 * time.Millisecond, 30_000, 120_000},
		"defaults of the fragment": {slices.Concat(movie(noDefault), fragment(box("tfhd", words(0x18, 1, 3600, 1000)), box("trun", words(1, 50, 99)))), 2 * time.Second, 25_000, 200_000},
		"offset and description":   {slices.Concat(movie(), fragment(box("tfhd", words(0xb, 1, 0, 0, 1, 3600)), box("trun", words(0, 50)))), 2 * time.Second, 25_000, 0},
		"flags and offsets only":   {slices.Concat(movie(trex), fragment(tfhd, box("trun", words(0xc00, 30), make([]byte, 240)))), time.Second, 30_000, 120_000},
		"several runs":             {slices.Concat(movie(trex), fragment(tfhd, box("trun", words(0, 10)), each(20, 3000, 500))), time.Second, 30_000, 120_000},
		"a run without samples":    {slices.Concat(movie(trex), fragment(tfhd, box("trun", words(0, 0)), box("trun", words(0, 30)))), time.Second, 30_000, 120_000},
		"another track":            {slices.Concat(movie(trex), fragment(tfhd, box("trun", words(0, 30))), fragment(box("tfhd", words(0, 9)), each(100, 90_000, 1))), time.Second, 30_000, 120_000},
		"run before its header":    {slices.Concat(movie(trex), fragment(tfhd, box("trun", words(0, 30))), fragment(each(100, 90_000, 1), tfhd)), time.Second, 30_000, 120_000},
		"too few entries":          {slices.Concat(movie(trex), fragment(tfhd, box("trun", words(0x100, math.MaxUint32), words(45_000, 45_000)))), time.Second, 2_000, 0},
		"no durations":             {slices.Concat(movie(noDefault), fragment(tfhd, box("trun", words(0, 30)))), 0, 0, 0},
		"no durations, but a sum":  {slices.Concat(movie(mehd, noDefault), fragment(tfhd, box("trun", words(0, 30)))), 7 * time.Second, 0, 0},
		"impossible durations": {slices.Concat(movie(trex), fragment(box("tfhd", words(0x8, 1, math.MaxUint32)),
			bytes.Repeat(box("trun", words(0, math.MaxUint32)), 3))), 0, 0, 0},
		"durations that overflow to 1 s": {slices.Concat(movie(trex),
			fragment(box("tfhd", words(0x8, 1, math.MaxUint32)), box("trun", words(0, math.MaxUint32)), box("trun", words(0, 2))),
			fragment(box("tfhd", words(0x8, 1, 1)), box("trun", words(0, 90_001)))), 0, 0, 0},
		"only a sum": {slices.Concat(movie(mehd, trex), box("mdat", []byte("data"))), 7 * time.Second, 0, 0},
		"media without size": {slices.Concat(movie(trex), box("moof", box("traf", tfhd, box("trun", words(0, 30)))), []byte("\x00\x00\x00\x00mdatdata")),
			time.Second, 30_000, 120_000},
	} {
		t.Run(name, func(t *testing.T) {
			info, err := inspect(tc.file)
			if err != nil {
				t.Fatal(err)
			}
			if info.Duration != tc.lasts || info.FramesPer1000s != tc.rate || tc.bits > 0 && info.BitRate != tc.bits {
				t.Errorf("lasts %s, %d frames in 1000 s, %d bits a second; want %s, %d, %d",
					info.Duration, info.FramesPer1000s, info.BitRate, tc.lasts, tc.rate, tc.bits)
			}
		})
	}
}

// A movie whose head says no duration lasts as long as its samples.
func TestProbeMP4WithoutDuration(t *testing.T) {
	file := fixture(t, "h264.mp4")
	for _, header := range []string{"mvhd", "mdhd"} {
		at := map[string]int{"mvhd": 20, "mdhd": 20}[header]
		file = patch(file, header, at, 0, 0, 0, 0)
	}
	info, err := inspect(file)
	if err != nil || info.Duration < time.Second || info.Duration > 1100*time.Millisecond {
		t.Errorf("got %+v, %v", info, err)
	}
}

func TestProbeMP4FrameRate(t *testing.T) {
	file := fixture(t, "h264.mp4") // 25 frames of 512 units, 12,800 units a second
	unitsPerSecond := func(n uint32) []byte { return patch(file, "mdhd", 16, words(n)...) }
	for name, tc := range map[string]struct {
		file []byte
		want int
	}{
		"10":             {unitsPerSecond(5_120), 10_000},
		"29.97":          {patch(unitsPerSecond(30_000), "stts", 16, words(1001)...), 29_970},
		"59.94":          {patch(unitsPerSecond(60_000), "stts", 16, words(1001)...), 59_940},
		"120":            {unitsPerSecond(61_440), 120_000},
		"no entries":     {patch(file, "stts", 8, words(0)...), 0},
		"frames of 0 s":  {patch(file, "stts", 16, words(0)...), 0},
		"no time scale":  {unitsPerSecond(0), 0},
		"absurdly fast":  {patch(unitsPerSecond(math.MaxUint32), "stts", 16, words(1)...), math.MaxInt32},
		"absurd lengths": {patch(file, "stts", 8, words(2, math.MaxUint32, math.MaxUint32)...), 0},
	} {
		t.Run(name, func(t *testing.T) {
			if info, err := inspect(tc.file); err != nil || info.FramesPer1000s != tc.want {
				t.Errorf("got %d, %v, want %d", info.FramesPer1000s, err, tc.want)
			}
		})
	}
}

func TestProbeMP4Sound(t *testing.T) {
	entry := func(coding string, version uint16, rest []byte) []byte {
		b := slices.Concat(words(0, 1, 0), []byte(coding), make([]byte, 8), binary.BigEndian.AppendUint16(nil, version), make([]byte, 6), rest)
		return box("stsd", b)
	}
	plain := slices.Concat(words(6<<16|16, 0), words(48_000<<16))
	long := func(rate float64, channels uint32) []byte {
		return slices.Concat(words(3<<16|16, 0xfffe<<16, 1<<16, 72), binary.BigEndian.AppendUint64(nil, math.Float64bits(rate)), words(channels))
	}
	sound := func(stsd []byte) []byte {
		return box("trak", box("mdia", box("hdlr", words(0, 0), []byte("soun")), box("minf", box("stbl", stsd))))
	}
	of := parts(fixture(t, "fragmented-first-only.mp4"))
	for name, tc := range map[string]struct {
		tracks         [][]byte
		codec          string
		rate, channels int
	}{
		"none":           {nil, "", 0, 0},
		"AAC":            {[][]byte{sound(entry("mp4a", 0, plain))}, "aac", 48_000, 6},
		"QuickTime's":    {[][]byte{sound(entry("lpcm", 2, long(96_000, 8)))}, "lpcm", 96_000, 8},
		"no rate":        {[][]byte{sound(entry("lpcm", 2, long(math.NaN(), 2)))}, "lpcm", 0, 0},
		"negative rate":  {[][]byte{sound(entry("lpcm", 2, long(-1, 2)))}, "lpcm", 0, 0},
		"short":          {[][]byte{sound(entry("Opus", 0, nil))}, "Opus", 0, 0},
		"short, version": {[][]byte{sound(entry("lpcm", 2, plain))}, "lpcm", 0, 0},
		"AAC is second":  {[][]byte{sound(entry("apac", 0, plain)), sound(entry("mp4a", 0, plain))}, "aac", 48_000, 6},
		"AAC is first":   {[][]byte{sound(entry("mp4a", 0, plain)), sound(entry("apac", 0, plain))}, "aac", 48_000, 6},
		"no AAC":         {[][]byte{sound(entry("ac-3", 0, plain)), sound(entry("apac", 0, plain))}, "ac-3", 48_000, 6},
	} {
		t.Run(name, func(t *testing.T) {
			file := slices.Concat(of["ftyp"], box("moov", of["moov"][8:], slices.Concat(tc.tracks...)), of["mdat"])
			info, err := inspect(file)
			if err != nil || info.AudioCodec != tc.codec || info.AudioRate != tc.rate || info.AudioChannels != tc.channels {
				t.Errorf("got %+v, %v", info, err)
			}
		})
	}
}

func TestProbeMP4Bounds(t *testing.T) {
	of := parts(fixture(t, "fragmented-first-only.mp4"))
	for name, file := range map[string][]byte{
		"sample table": slices.Concat(of["ftyp"], box("moov", of["moov"][8:], box("trak", box("stsz", words(0, 0, maxEntries+1), make([]byte, 4*(maxEntries+1)))))),
		"tracks":       slices.Concat(of["ftyp"], box("moov", bytes.Repeat(box("trak"), maxTracks+1))),
		"defaults":     slices.Concat(of["ftyp"], box("moov", box("mvex", manyDefaults()))),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := inspect(file)
			rejected, ok := errors.AsType[*RejectedError](err)
			if !ok || !errors.Is(err, errTooManyBoxes) && rejected.Reason != "video has too many tracks" {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func manyDefaults() (b []byte) {
	for id := range uint32(maxTracks + 1) {
		b = append(b, box("trex", words(0, id, 1, 0, 0, 0))...)
	}
	return b
}
