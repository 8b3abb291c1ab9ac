package instagram

import (
	"fmt"
	"net/url"
	"strings"

	"socialqueue/sandbox/engine"
)

// graphField is one entry of the fields parameter; sub is what its braces hold.
type graphField struct{ name, sub string }

// splitFields splits the fields parameter at its commas, but not inside braces: children{id,media_type} is one field.
func splitFields(raw string) ([]graphField, *graphError) {
	var fields []graphField
	depth, start := 0, 0
	for i, r := range raw + "," {
		switch {
		case r == '{':
			depth++
		case r == '}':
			depth--
		case r == ',' && depth == 0:
			name, sub, _ := strings.Cut(strings.TrimSpace(raw[start:i]), "{")
			fields, start = append(fields, graphField{name, strings.TrimSuffix(sub, "}")}), i+1
		}
	}
	if depth != 0 {
		return nil, param("Syntax error in fields")
	}
	return fields, nil
}

// selectFrom returns the requested fields of an object and its id. If none are requested, it returns those of def.
func selectFrom(asked, def string, object map[string]any) (map[string]any, *graphError) {
	engine.SetDefault(&asked, def)
	fields, e := checkFields(asked, object)
	if e != nil {
		return nil, e
	}
	return pick(object, append(fields, "id")), nil
}

// selectFields answers with the requested fields of an object and its id.
func (ig *Platform) selectFields(c *graphCall, object map[string]any) engine.Reply {
	fields, e := parseFields(c.params, object, "id")
	if e != nil {
		return ig.fail(c.Exchange, *e)
	}
	return ig.ok(c, pick(object, append(fields, "id")))
}

// parseFields reads the fields parameter and refuses an unknown field.
func parseFields(p url.Values, known map[string]any, def string) ([]string, *graphError) {
	raw := p.Get("fields")
	engine.SetDefault(&raw, def)
	return checkFields(raw, known)
}

func checkFields(raw string, known map[string]any) ([]string, *graphError) {
	fields, e := splitFields(raw)
	if e != nil {
		return nil, e
	}
	names := make([]string, len(fields))
	for i, f := range fields {
		if _, ok := known[f.name]; !ok {
			return nil, param(fmt.Sprintf("Tried accessing nonexisting field (%s)", f.name))
		}
		names[i] = f.name
	}
	return names, nil
}

// pick omits fields without a value, as Graph does.
func pick(object map[string]any, fields []string) map[string]any {
	out := map[string]any{}
	for _, f := range fields {
		if v := object[f]; v != nil && v != "" {
			out[f] = v
		}
	}
	return out
}
