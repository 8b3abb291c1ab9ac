package doctor

import (
	"context"
	"fmt"
	"slices"
)

// mendRounds bounds how often something is mended in one go; a round takes hundreds.
const mendRounds = 10

// mends adds something that --fix mends, and how much of it there is.
func (d *doctor) mends(level Level, n int, what string, args ...any) {
	d.add(level, "run `socialqueue doctor --fix`", what, args)
	f := &d.found[len(d.found)-1]
	f.Fixable, f.kind, f.n = true, what, n
}

// mend mends what a check found from first on, and looks again, while there gets less of
// it. What is told then is what is there then.
func (d *doctor) mend(ctx context.Context, c check, first int) {
	before := slices.Clone(d.found[first:])
	for range mendRounds {
		left := fixable(d.found[first:])
		if left == 0 {
			break
		}
		if err := c.mend(ctx); err != nil {
			d.bad("see to that, then run it again", "--fix came no further: %v", err)
			break
		}
		d.found = d.found[:first]
		if err := c.look(ctx); err != nil {
			d.found = append(d.found, before...)
			d.unseen(fmt.Errorf("whether it is mended: %w", err))
			return
		}
		if fixable(d.found[first:]) >= left {
			break
		}
	}
	d.found = append(d.found[:first], compared(before, d.found[first:])...)
}

// compared tells what was found before and is gone, then what is there now, and how much
// of it is gone.
func compared(before, now []Finding) []Finding {
	now = slices.Clone(now)
	var told []Finding
	for _, was := range before {
		if !was.Fixable {
			continue
		}
		i := slices.IndexFunc(now, func(f Finding) bool { return f.kind == was.kind })
		if i < 0 {
			was.Fixed, was.Do = true, ""
			told = append(told, was)
			continue
		}
		now[i].What += fmt.Sprintf("; --fix mended %d of %d", max(was.n-now[i].n, 0), was.n)
		now[i].Do = "run it again; when that mends no more, look at the logs of the scheduler and of Redis"
	}
	return append(told, now...)
}

// fixable is how much there is that --fix could mend.
func fixable(found []Finding) int {
	n := 0
	for _, f := range found {
		n += f.n
	}
	return n
}
