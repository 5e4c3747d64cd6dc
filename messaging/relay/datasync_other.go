//go:build !linux

package relay

import "os"

// datasync makes what was written to the file durable.
func datasync(f *os.File) error { return f.Sync() }
