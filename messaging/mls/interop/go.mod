module github.com/parleypay/parley/messaging/mls/interop

go 1.26.0

require (
	github.com/parleypay/parley v0.0.0
	github.com/thomas-vilte/mls-go v1.6.0
)

require (
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

replace github.com/parleypay/parley => ../../..
