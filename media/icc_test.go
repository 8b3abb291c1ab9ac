package media

import (
	"encoding/binary"
	"image"
	"image/color"
	"image/draw"
	"math"
	"slices"
	"testing"
)

// iccProfile builds a profile from tags, which are pairs of a name and content.
func iccProfile(space string, tags ...string) []byte {
	head := make([]byte, 128)
	copy(head[12:], "mntr"+space+"XYZ ")
	list, body := words(uint32(len(tags)/2)), []byte(nil)
	at := len(head) + 4 + 12*len(tags)/2
	for i := 0; i < len(tags); i += 2 {
		list = append(append(list, tags[i]...), words(uint32(at+len(body)), uint32(len(tags[i+1])))...)
		body = append(body, tags[i+1]...)
	}
	return slices.Concat(head, list, body)
}

func fixed(values ...float64) (b []byte) {
	for _, v := range values {
		b = binary.BigEndian.AppendUint32(b, uint32(int32(math.Round(v*65536))))
	}
	return b
}

func xyzTag(x, y, z float64) string { return "XYZ \x00\x00\x00\x00" + string(fixed(x, y, z)) }

func parametric(kind byte, values ...float64) string {
	return "para\x00\x00\x00\x00\x00" + string(kind) + "\x00\x00" + string(fixed(values...))
}

func table(values ...uint16) string {
	b := append([]byte("curv\x00\x00\x00\x00"), words(uint32(len(values)))...)
	for _, v := range values {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	return string(b)
}

// matrixProfile builds a profile of an RGB space with the same curve for each component.
func matrixProfile(curve, r, g, b string) []byte {
	return iccProfile("RGB ", "rXYZ", r, "gXYZ", g, "bXYZ", b, "rTRC", curve, "gTRC", curve, "bTRC", curve)
}

var (
	srgbCurve = parametric(3, 2.4, 1/1.055, 0.055/1.055, 1/12.92, 0.04045)
	displayP3 = matrixProfile(srgbCurve, xyzTag(0.51512, 0.2412, -0.00105), xyzTag(0.29198, 0.69225, 0.04189), xyzTag(0.1571, 0.06657, 0.78407))
	adobeRGB  = matrixProfile(table(0x0233), xyzTag(0.60974, 0.31111, 0.01947), xyzTag(0.20528, 0.62567, 0.06087), xyzTag(0.14919, 0.06322, 0.74457))
	srgb      = withCurve(srgbCurve)
)

// withCurve builds a profile with the primaries of sRGB.
func withCurve(curve string) []byte {
	return matrixProfile(curve, xyzTag(0.43607, 0.22249, 0.01392), xyzTag(0.38515, 0.71687, 0.09708), xyzTag(0.14307, 0.06061, 0.7141))
}

func convert(t *testing.T, profile []byte, c color.RGBA) color.RGBA {
	t.Helper()
	p, ok := readRGBProfile(profile)
	if !ok {
		t.Fatal("the profile is not read")
	}
	img := image.NewRGBA(image.Rect(0, 0, 1, 1))
	img.SetRGBA(0, 0, c)
	p.toSRGB(img)
	return img.RGBAAt(0, 0)
}

// The first ones are the primaries of sRGB, as the other spaces write them in eight bits.
func TestProfileToSRGB(t *testing.T) {
	for _, tc := range []struct {
		name       string
		profile    []byte
		from, want color.RGBA
	}{
		{"P3", displayP3, color.RGBA{234, 51, 35, 255}, color.RGBA{255, 0, 0, 255}},
		{"P3", displayP3, color.RGBA{117, 251, 76, 255}, color.RGBA{3, 255, 0, 255}},
		{"P3", displayP3, color.RGBA{0, 0, 245, 255}, color.RGBA{0, 0, 255, 255}},
		{"P3, out of sRGB", displayP3, red, red},
		{"P3", displayP3, color.RGBA{90, 90, 90, 255}, color.RGBA{90, 90, 90, 255}},
		{"P3", displayP3, white, white},
		{"Adobe RGB", adobeRGB, color.RGBA{219, 0, 0, 255}, red},
		{"Adobe RGB", adobeRGB, color.RGBA{144, 255, 60, 255}, color.RGBA{0, 255, 0, 255}},
		{"Adobe RGB", adobeRGB, color.RGBA{127, 127, 127, 255}, color.RGBA{127, 127, 127, 255}},
		{"sRGB", srgb, color.RGBA{1, 20, 200, 255}, color.RGBA{1, 20, 200, 255}},
		{"linear", withCurve(table()), color.RGBA{55, 127, 255, 255}, color.RGBA{128, 187, 255, 255}},
		{"two points", withCurve(table(0, 65535)), color.RGBA{55, 127, 255, 255}, color.RGBA{128, 187, 255, 255}},
		{"gamma 1", withCurve(parametric(0, 1)), color.RGBA{55, 127, 255, 255}, color.RGBA{128, 187, 255, 255}},
		{"zero below a value", withCurve(parametric(1, 1, 2, -1)), color.RGBA{100, 191, 255, 255}, color.RGBA{0, 187, 255, 255}},
		{"a constant below a value", withCurve(parametric(2, 1, 1, -0.5, 0.5)), color.RGBA{100, 127, 255, 255}, color.RGBA{188, 188, 255, 255}},
		{"all parameters", withCurve(parametric(4, 1, 0.5, 0, 0, 0.5, 0.5, 0.25)), color.RGBA{100, 255, 255, 255}, color.RGBA{137, 255, 255, 255}},
	} {
		near(t, tc.name, convert(t, tc.profile, tc.from), tc.want, 2)
	}
}

func TestProfileIgnored(t *testing.T) {
	without := func(tag string) []byte { return patch(displayP3, tag, 0, 'x') }
	for name, profile := range map[string][]byte{
		"none":                nil,
		"short":               displayP3[:140],
		"cut":                 displayP3[:len(displayP3)-1],
		"grey":                patch(displayP3, "RGB ", 0, 'G', 'R', 'A', 'Y'),
		"CMYK":                patch(displayP3, "RGB ", 0, 'C', 'M', 'Y', 'K'),
		"Lab":                 patch(displayP3, "XYZ ", 0, 'L', 'a', 'b', ' '),
		"no matrix":           without("gXYZ"),
		"no curve":            without("bTRC"),
		"unknown curve":       patch(displayP3, "para", 0, 'x'),
		"unknown kind":        withCurve(parametric(5, 1, 1, 1, 1, 1, 1, 1)),
		"too few parameters":  withCurve(parametric(4, 1, 1)),
		"no slope":            withCurve(parametric(1, 1, 0, 1)),
		"fewer points":        withCurve(table(1, 2, 3)[:14]),
		"white is not white":  matrixProfile(srgbCurve, xyzTag(0.4124, 0.2126, 0.0193), xyzTag(0.3576, 0.7152, 0.1192), xyzTag(0.1805, 0.0722, 0.9505)),
		"too many tags":       patch(displayP3, "rXYZ", -4, words(math.MaxUint32)...)[:200],
		"larger than allowed": append(slices.Clone(displayP3), make([]byte, maxProfile)...),
	} {
		if _, ok := readRGBProfile(profile); ok {
			t.Errorf("%s: read", name)
		}
	}
}

// The profile is found in each kind of file, also in parts.
func TestDeriveProfiles(t *testing.T) {
	p3Red := color.RGBA{234, 51, 35, 255}
	img := image.NewRGBA(image.Rect(0, 0, 32, 32))
	draw.Draw(img, img.Rect, image.NewUniform(p3Red), image.Point{}, draw.Src)
	plain, plainPNG := encodeJPEG(t, img), encodePNG(t, img)
	part := func(number, of byte, b []byte) []byte {
		return jpegSegment(jpegAPP2, []byte("ICC_PROFILE\x00"), []byte{number, of}, b)
	}
	with := func(segments ...[]byte) []byte {
		return slices.Concat(plain[:2], slices.Concat(segments...), plain[2:])
	}
	iccp := func(b []byte) []byte { return pngChunk("iCCP", slices.Concat([]byte("P3\x00\x00"), b)) }
	webp := solidWebP(32, 32) // of 100, 200, 50
	webp = append(webp, chunk("ICCP", displayP3)...)
	binary.LittleEndian.PutUint32(webp[4:], uint32(len(webp)-8))
	green := color.RGBA{45, 203, 0, 255} // 100, 200, 50 in P3, by the matrices of CSS Color 4
	for name, tc := range map[string]struct {
		file []byte
		want color.RGBA
	}{
		"JPEG":                  {with(part(1, 1, displayP3)), red},
		"JPEG, two parts":       {with(part(1, 2, displayP3[:100]), part(2, 2, displayP3[100:])), red},
		"JPEG, parts exchanged": {with(part(2, 2, displayP3[100:]), part(1, 2, displayP3[:100])), p3Red},
		"JPEG, a part missing":  {with(part(1, 2, displayP3[:100])), p3Red},
		"JPEG, other segment":   {with(jpegSegment(jpegAPP2, []byte("MPF\x00"))), p3Red},
		"JPEG, none":            {plain, p3Red},
		"PNG":                   {afterIHDR(plainPNG, iccp(deflate(t, displayP3))), red},
		"PNG, damaged":          {afterIHDR(plainPNG, iccp([]byte("damaged"))), p3Red},
		"PNG, no name":          {afterIHDR(plainPNG, pngChunk("iCCP", []byte("name"))), p3Red},
		"PNG, cut":              {afterIHDR(plainPNG, iccp(deflate(t, displayP3)[:50])), p3Red},
		"WebP":                  {webp, green},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := derive(t, tc.file, Box{MaxWidth: 16})
			near(t, name, got.At(8, 8), tc.want, 4)
		})
	}
}
