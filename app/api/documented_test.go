package api

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestStatusIsDocumented: every field of the status has its name in
// docs/socket.md, in its section.
func TestStatusIsDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/socket.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Status\n")
	if !found {
		t.Fatal("docs/socket.md has no section on the status")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	named := map[string]bool{}
	for _, quoted := range regexp.MustCompile("`[a-z_.]+(\\[\\])?`").FindAllString(section, -1) {
		name := strings.TrimSuffix(strings.Trim(quoted, "`"), "[]")
		named[name[strings.LastIndex(name, ".")+1:]] = true
	}
	var look func(of reflect.Type, path string)
	look = func(of reflect.Type, path string) {
		for of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || of.PkgPath() != reflect.TypeFor[Status]().PkgPath() {
			return
		}
		for i := range of.NumField() {
			field := of.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Anonymous || name == "" {
				look(field.Type, path)
				continue
			}
			if !named[name] {
				t.Errorf("docs/socket.md does not tell of %s%s (%s)", path, name, field.Type)
			}
			look(field.Type, path+name+".")
		}
	}
	look(reflect.TypeFor[Status](), "")
}
