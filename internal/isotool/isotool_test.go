package isotool

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// call runs parley iso with these arguments.
func call(t *testing.T, in io.Reader, args ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = Run(args, in, &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		out    string // in it
		errs   string
	}{
		{nil, exitUnreadable, "", "usage: parley iso SUBCOMMAND"},
		{[]string{"help"}, exitOK, "usage: parley iso SUBCOMMAND", ""},
		{[]string{"-h"}, exitOK, "usage: parley iso SUBCOMMAND", ""},
		{[]string{"vaildate"}, exitUnreadable, "", `no subcommand "vaildate"`},
		{[]string{"validate", "-h"}, exitOK, "usage: parley iso validate [flags] FILE|DIR|-...", ""},
		{[]string{"validate"}, exitUnreadable, "", "usage: parley iso validate"},
		{[]string{"validate", "--nonsense", "x.xml"}, exitUnreadable, "", "not defined: -nonsense"},
		{[]string{"validate", "--profile", "swift", "x.xml"}, exitUnreadable, "", "swift"},
		{[]string{"validate", "--without", "fednow.aba.checksum", "x.xml"}, exitUnreadable, "", "--profile"},
		{[]string{"validate", "--profile", "fednow", "--without", "fednow.no.rule", "x.xml"}, exitUnreadable, "", "fednow.no.rule"},
		{[]string{"validate", "x.xml", "--profile", "fednow", "--without", ","}, exitUnreadable, "", "empty name"},
	} {
		status, out, errs := call(t, strings.NewReader(""), c.args...)
		if status != c.status || !strings.Contains(out, c.out) || !strings.Contains(errs, c.errs) {
			t.Errorf("%q: status %d\n%s\n%s", c.args, status, out, errs)
		}
		if c.out == "" && out != "" || c.errs == "" && errs != "" {
			t.Errorf("%q: said on the wrong side\n%s\n%s", c.args, out, errs)
		}
	}
}
