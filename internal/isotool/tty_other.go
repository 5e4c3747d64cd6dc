//go:build !unix

package isotool

import "os"

// terminalWidth reports whether f is a console; how wide it is is not known here.
func terminalWidth(f *os.File) (int, bool) {
	info, err := f.Stat()
	return 0, err == nil && info.Mode()&os.ModeCharDevice != 0 && f.Name() != os.DevNull
}
