package media

import (
	"image"
	"math"
)

// taps are the pixels of a line that one pixel of a shorter line is made of.
type taps struct {
	first   int
	weights []float32
}

// end returns the pixel behind the last.
func (t taps) end() int { return t.first + len(t.weights) }

// catmullRom returns the taps of each pixel when a line of from pixels is made one of to,
// which are no more.
func catmullRom(from, to int) []taps {
	ratio := float64(from) / float64(to)
	line := make([]taps, to)
	for i := range line {
		center := (float64(i)+0.5)*ratio - 0.5
		first := max(0, int(math.Ceil(center-2*ratio)))
		last := min(from-1, int(math.Floor(center+2*ratio)))
		weights := make([]float32, last-first+1)
		var sum float32
		for j := range weights {
			weights[j] = float32(catmullRomAt(math.Abs(float64(first+j)-center) / ratio))
			sum += weights[j]
		}
		for j := range weights {
			weights[j] /= sum
		}
		line[i] = taps{first, weights}
	}
	return line
}

// catmullRomAt returns the weight of a pixel at a distance: Keys' cubic with a = -1/2.
func catmullRomAt(x float64) float64 {
	switch {
	case x < 1:
		return (1.5*x-2.5)*x*x + 1
	case x < 2:
		return ((-0.5*x+2.5)*x-4)*x + 2
	}
	return 0
}

// openRows is how many rows of the small picture a row of the large one takes part in, at
// most: each is made of the rows at a distance below two of its own.
const openRows = 6

// scaleUpright scales a picture down to width and height, on white, and stores it turned as
// its Exif orientation says. The large picture is read row by row and not copied.
func scaleUpright(src image.RGBA64Image, width, height, orientation int) *image.RGBA {
	columns, rows := catmullRom(src.Bounds().Dx(), width), catmullRom(src.Bounds().Dy(), height)
	dst := newUpright(width, height, orientation)
	large := make([]float32, 3*src.Bounds().Dx())
	small := make([]float32, 3*width)
	var open [openRows][]float32
	for i := range open {
		open[i] = make([]float32, 3*width)
	}
	next := 0 // the first row that is not finished
	for y := range src.Bounds().Dy() {
		readOnWhite(large, src, src.Bounds().Min.Y+y)
		shrinkRow(small, large, columns)
		for i := next; i < height && rows[i].first <= y; i++ {
			row, weight := open[i%openRows], rows[i].weights[y-rows[i].first]
			for j, v := range small {
				row[j] += weight * v
			}
		}
		for ; next < height && rows[next].end() == y+1; next++ {
			row := open[next%openRows]
			dst.setRow(next, row)
			clear(row)
		}
	}
	return dst.img
}

// readOnWhite reads row y of a picture as it looks on white paper.
func readOnWhite(row []float32, src image.RGBA64Image, y int) {
	left := src.Bounds().Min.X
	for x := range len(row) / 3 {
		c := src.RGBA64At(left+x, y) // its colours are multiplied by its alpha
		white := math.MaxUint16 - float32(c.A)
		row[3*x], row[3*x+1], row[3*x+2] = float32(c.R)+white, float32(c.G)+white, float32(c.B)+white
	}
}

func shrinkRow(small, large []float32, columns []taps) {
	for x, t := range columns {
		var r, g, b float32
		from := large[3*t.first : 3*t.end()]
		for i, weight := range t.weights {
			r += weight * from[3*i]
			g += weight * from[3*i+1]
			b += weight * from[3*i+2]
		}
		small[3*x], small[3*x+1], small[3*x+2] = r, g, b
	}
}

// upright is a picture that is written in rows as it is stored, and turned on the way.
type upright struct {
	img           *image.RGBA
	width, height int // as it is stored
	orientation   int
}

func newUpright(width, height, orientation int) *upright {
	seen := image.Rect(0, 0, width, height)
	if orientation >= 5 {
		seen = image.Rect(0, 0, height, width)
	}
	return &upright{image.NewRGBA(seen), width, height, orientation}
}

// place returns where a pixel is seen: Exif 2.32, 4.6.5.
func (u *upright) place(x, y int) (seenX, seenY int) {
	right, bottom := u.width-1-x, u.height-1-y
	switch u.orientation {
	case 2:
		return right, y
	case 3:
		return right, bottom
	case 4:
		return x, bottom
	case 5:
		return y, x
	case 6:
		return bottom, x
	case 7:
		return bottom, right
	case 8:
		return y, right
	}
	return x, y
}

// setRow stores a row of opaque pixels, whose values have 16 bits.
func (u *upright) setRow(y int, row []float32) {
	for x := range u.width {
		at := u.img.PixOffset(u.place(x, y))
		pix := u.img.Pix[at : at+4 : at+4]
		for i := range 3 {
			pix[i] = uint8(min(max(row[3*x+i]/257+0.5, 0), math.MaxUint8)) // the filter overshoots at edges
		}
		pix[3] = math.MaxUint8
	}
}
