package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// maxListItems bounds every list in a configuration before its own check sees
// it.
const maxListItems = 256

var errTooMany = fmt.Errorf("lists more than %d values", maxListItems)

// setText sets the field from the text of a variable or a flag. Lists are
// separated by commas.
func (s Setting) setText(c *Config, text string) error {
	switch p := s.Field(c).(type) {
	case *string:
		*p = text
	case *int:
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		*p = n
	case *time.Duration:
		return setDuration(p, text)
	case *[]string:
		if strings.Count(text, ",") >= maxListItems {
			return errTooMany
		}
		list := []string{}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
		*p = list
	}
	return nil
}

// setTOML sets the field from a value as the TOML decoder hands it over.
func (s Setting) setTOML(c *Config, value any) error {
	switch p := s.Field(c).(type) {
	case *string:
		text, ok := value.(string)
		if !ok {
			return wrongType(value, `a text in quotes`)
		}
		*p = text
	case *int:
		n, ok := value.(int64)
		if !ok {
			return wrongType(value, "a whole number")
		}
		if n > math.MaxInt32 || n < math.MinInt32 {
			// int has 32 bits on half of the devices, and no setting needs more.
			return fmt.Errorf("%d is far out of range", n)
		}
		*p = int(n)
	case *time.Duration:
		text, ok := value.(string)
		if !ok {
			return wrongType(value, `a duration in quotes, as "500ms"`)
		}
		return setDuration(p, text)
	case *[]string:
		return setList(p, value)
	}
	return nil
}

func setDuration(p *time.Duration, text string) error {
	d, err := time.ParseDuration(strings.TrimSpace(text))
	if err != nil {
		return fmt.Errorf(`%q is not a duration; use a number with a unit, as "500ms" or "1.5s"`, text)
	}
	*p = d
	return nil
}

func setList(p *[]string, value any) error {
	items, ok := value.([]any)
	if !ok {
		return wrongType(value, `a list of texts, as ["one", "two"]`)
	}
	if len(items) > maxListItems {
		return errTooMany
	}
	list := make([]string, 0, len(items))
	for _, item := range items {
		text, ok := item.(string)
		if !ok {
			return wrongType(item, `a list of texts, as ["one", "two"]`)
		}
		list = append(list, text)
	}
	*p = list
	return nil
}

// errWrongType is in every error about a value of another TOML type than the
// setting's.
var errWrongType = errors.New("has the wrong type")

// wrongType says what a value is and what it should be.
func wrongType(value any, want string) error {
	is := "a value of another type"
	switch value.(type) {
	case string:
		is = "a text"
	case int64:
		is = "a whole number"
	case float64:
		is = "a number with a fraction"
	case bool:
		is = "true or false"
	case []any, []map[string]any:
		is = "a list"
	case map[string]any:
		is = "a table"
	case time.Time:
		is = "a date or time"
	}
	return fmt.Errorf("%w: it is %s, but must be %s", errWrongType, is, want)
}

// Kind is what stands for a value of the setting in help.
func (s Setting) Kind() string {
	switch s.Field(new(Config)).(type) {
	case *int:
		return "number"
	case *time.Duration:
		return "duration"
	case *[]string:
		return "list"
	}
	return "text"
}

// Text shows the value of a setting as a flag would take it.
func (s Setting) Text(c *Config) string {
	switch p := s.Field(c).(type) {
	case *string:
		return *p
	case *int:
		return strconv.Itoa(*p)
	case *time.Duration:
		return p.String()
	case *[]string:
		return strings.Join(*p, ",")
	}
	return ""
}
