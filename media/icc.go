package media

import (
	"encoding/binary"
	"image"
	"math"
)

// maxProfile is how large an ICC profile may be, in bytes. Those with a matrix have a few
// hundred or thousand.
const maxProfile = 256 << 10

// rgbProfile is what an ICC profile says of an RGB space: ICC.1:2022, F.3.
type rgbProfile struct {
	linear [3][256]float64 // the curves: a value to an amount of light
	matrix [3][3]float64   // amounts of light to XYZ, a row for each of X, Y and Z
}

// d50 is the white of all profiles.
var d50 = [3]float64{0.9642, 1, 0.8249}

// linearSRGB converts XYZ to amounts of light in sRGB. The white of XYZ is D50.
var linearSRGB = [3][3]float64{
	{3.1338561, -1.6168667, -0.4906146},
	{-0.9787684, 1.9161415, 0.0334540},
	{0.0719453, -0.2289914, 1.4052427},
}

// readRGBProfile reads an ICC profile that consists of a matrix and curves, as those of
// cameras and displays do. ok is false for any other, and for one that is damaged.
func readRGBProfile(b []byte) (p rgbProfile, ok bool) {
	const header, entry = 128, 12 // an entry is a name, an offset and a length
	if len(b) < header+4 || len(b) > maxProfile || string(b[16:20]) != "RGB " || string(b[20:24]) != "XYZ " {
		return p, false
	}
	tags := map[string][]byte{}
	list := b[header+4:]
	for range min(int(binary.BigEndian.Uint32(b[header:])), len(list)/entry) {
		at, size := uint64(binary.BigEndian.Uint32(list[4:])), uint64(binary.BigEndian.Uint32(list[8:]))
		if at+size <= uint64(len(b)) {
			tags[string(list[:4])] = b[at : at+size]
		}
		list = list[entry:]
	}
	for i, name := range []string{"r", "g", "b"} {
		column, ok := iccXYZ(tags[name+"XYZ"])
		if !ok {
			return p, false
		}
		curve, ok := iccCurve(tags[name+"TRC"])
		if !ok {
			return p, false
		}
		for row := range column {
			p.matrix[row][i] = column[row]
		}
		for v := range p.linear[i] {
			p.linear[i][v] = clamp(curve(float64(v) / 255))
		}
	}
	for row, white := range d50 { // otherwise white gets a tint
		if math.Abs(p.matrix[row][0]+p.matrix[row][1]+p.matrix[row][2]-white) > 0.02 {
			return p, false
		}
	}
	return p, true
}

// clamp limits v to the range 0 to 1. NaN becomes 0.
func clamp(v float64) float64 {
	if v > 0 {
		return min(v, 1)
	}
	return 0
}

// iccXYZ reads a tag of type XYZ.
func iccXYZ(tag []byte) (xyz [3]float64, ok bool) {
	if len(tag) < 20 || string(tag[:4]) != "XYZ " {
		return xyz, false
	}
	for i := range xyz {
		xyz[i] = iccFixed(tag[8+4*i:])
	}
	return xyz, true
}

// iccFixed reads a number with 16 bits behind the point.
func iccFixed(b []byte) float64 { return float64(int32(binary.BigEndian.Uint32(b))) / (1 << 16) }

// iccCurve reads a tag of type curve or parametric curve.
func iccCurve(tag []byte) (curve func(float64) float64, ok bool) {
	if len(tag) < 12 {
		return nil, false
	}
	switch string(tag[:4]) {
	case "curv":
		return iccTable(tag[12:], binary.BigEndian.Uint32(tag[8:]))
	case "para":
		return iccParametric(tag[12:], binary.BigEndian.Uint16(tag[8:]))
	}
	return nil, false
}

// iccTable returns a curve of so many points: none is the identity, one is a gamma.
func iccTable(b []byte, points uint32) (curve func(float64) float64, ok bool) {
	if uint64(points) > uint64(len(b)/2) {
		return nil, false
	}
	n := int(points)
	at := func(i int) float64 { return float64(binary.BigEndian.Uint16(b[2*i:])) }
	switch n {
	case 0:
		return func(v float64) float64 { return v }, true
	case 1:
		gamma := at(0) / 256
		return func(v float64) float64 { return math.Pow(v, gamma) }, true
	}
	return func(v float64) float64 {
		v *= float64(n - 1)
		i := min(int(v), n-2)
		part := v - float64(i)
		return (at(i)*(1-part) + at(i+1)*part) / math.MaxUint16
	}, true
}

// iccParametric returns a curve of a kind: ICC.1:2022, table 68. Each kind is the last one
// with some parameters zero.
func iccParametric(b []byte, kind uint16) (curve func(float64) float64, ok bool) {
	counts := []int{1, 3, 4, 5, 7}
	if int(kind) >= len(counts) || len(b) < 4*counts[kind] {
		return nil, false
	}
	var p [7]float64
	for i := range counts[kind] {
		p[i] = iccFixed(b[4*i:])
	}
	g, a, b1, c, d, e, f := p[0], p[1], p[2], p[3], p[4], p[5], p[6]
	switch kind {
	case 0:
		a = 1
	case 1, 2:
		if a == 0 {
			return nil, false
		}
		c, d, e, f = 0, -b1/a, p[3], p[3]
	}
	return func(v float64) float64 {
		if v < d {
			return c*v + f
		}
		return math.Pow(a*v+b1, g) + e
	}, true
}

// toSRGB converts the colours of a picture to sRGB, in place. Colours that sRGB does not have
// become the nearest in each component.
func (p rgbProfile) toSRGB(img *image.RGBA) {
	const steps = 1 << 14 // fine enough for the dark end, where sRGB is steepest
	var encode [steps + 1]uint8
	for i := range encode {
		encode[i] = uint8(math.Round(255 * sRGB(float64(i)/steps)))
	}
	matrix := multiply(linearSRGB, p.matrix)
	for at := 0; at+3 < len(img.Pix); at += 4 {
		pix := img.Pix[at : at+3 : at+3]
		r, g, b := p.linear[0][pix[0]], p.linear[1][pix[1]], p.linear[2][pix[2]]
		for i, row := range matrix {
			pix[i] = encode[int(math.Round(steps*clamp(row[0]*r+row[1]*g+row[2]*b)))]
		}
	}
}

// sRGB returns the value that stands for an amount of light: IEC 61966-2-1.
func sRGB(light float64) float64 {
	if light <= 0.0031308 {
		return 12.92 * light
	}
	return 1.055*math.Pow(light, 1/2.4) - 0.055
}

func multiply(a, b [3][3]float64) (product [3][3]float64) {
	for i := range a {
		for j := range b {
			for k := range b {
				product[i][j] += a[i][k] * b[k][j]
			}
		}
	}
	return product
}
