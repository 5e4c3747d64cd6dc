package relay

import (
	"os"
	"syscall"
)

// datasync makes what was written within the file's size durable. It leaves out the file's times, whose journal entry would cost more.
func datasync(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); err != syscall.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}
