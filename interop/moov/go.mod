module github.com/parleypay/parley/interop/moov

go 1.26.0

require (
	github.com/moov-io/iso20022 v0.2.1
	github.com/parleypay/parley v0.0.0
)

require (
	github.com/shopspring/decimal v1.6.0 // indirect
	golang.org/x/text v0.43.0 // indirect
)

replace github.com/parleypay/parley => ../..
