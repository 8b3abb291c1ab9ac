package doctor

import (
	"context"
	"fmt"
	"slices"
)

// fixRounds is the maximum number of repair rounds of a check. A round repairs hundreds of
// items.
const fixRounds = 10

// fixable adds a finding that --fix can repair. n is the number of items.
func (d *doctor) fixable(level Level, n int, what string, args ...any) {
	d.add(level, "run `socialqueue doctor --fix`", what, args)
	f := &d.found[len(d.found)-1]
	f.Fixable, f.kind, f.n = true, what, n
}

// fix repairs the findings of a check, which begin at first, and repeats the check, as long
// as fewer items are left after each round. It replaces the findings by the final ones.
func (d *doctor) fix(ctx context.Context, c check, first int) {
	before := slices.Clone(d.found[first:])
	for range fixRounds {
		left := countItems(d.found[first:])
		if left == 0 {
			break
		}
		if err := c.fix(ctx); err != nil {
			d.bad("resolve this error, then run it again", "--fix failed: %v", err)
			break
		}
		d.found = d.found[:first]
		if err := c.run(ctx); err != nil {
			d.found = append(d.found, before...)
			d.failed(fmt.Errorf("check the result of --fix: %w", err))
			return
		}
		if countItems(d.found[first:]) >= left {
			break
		}
	}
	d.found = append(d.found[:first], compare(before, d.found[first:])...)
}

// compare returns the findings that are fixed, then the current ones. Current findings say
// how many of their items were fixed.
func compare(before, now []Finding) []Finding {
	now = slices.Clone(now)
	var result []Finding
	for _, was := range before {
		if !was.Fixable {
			continue
		}
		i := slices.IndexFunc(now, func(f Finding) bool { return f.kind == was.kind })
		if i < 0 {
			was.Fixed, was.Do = true, ""
			result = append(result, was)
			continue
		}
		now[i].What += fmt.Sprintf("; --fix fixed %d of %d", max(was.n-now[i].n, 0), was.n)
		now[i].Do = "run it again; if that fixes nothing more, read the logs of the scheduler and of Redis"
	}
	return append(result, now...)
}

// countItems counts the items that --fix can repair.
func countItems(found []Finding) int {
	n := 0
	for _, f := range found {
		n += f.n
	}
	return n
}
