module github.com/parleypay/parley

go 1.26.0

require (
	github.com/Azure/go-amqp v1.7.0 // queues of AMQP 1.0 brokers, the transport of FedNow and RTP
	github.com/beevik/etree v1.8.1 // the tree that goxmldsig makes canonical
	github.com/fxamacker/cbor/v2 v2.10.0 // frames between device and relay: strict, deterministic CBOR (RFC 8949)
	github.com/goccy/go-yaml v1.19.2 // configuration files: faults with line and key
	github.com/gorilla/websocket v1.5.3 // both ends of the WebSocket
	github.com/nats-io/nats-server/v2 v2.15.2 // the relay's store: JetStream, embedded
	github.com/nats-io/nats.go v1.55.0 // its client
	github.com/prometheus/client_golang v1.25.0 // metrics
	github.com/russellhaering/goxmldsig v1.6.1 // canonical XML, to verify the signatures of others in message headers
	github.com/shopspring/decimal v1.6.0 // rates and sums at the API's edge
	github.com/synadia-io/orbit.go/jetstreamext v0.3.2 // atomic batches and batched reads of JetStream
	golang.org/x/crypto v0.58.0 // Argon2id and XChaCha20-Poly1305 of the device store
	golang.org/x/sys v0.49.0 // a terminal that does not show the passphrase
	golang.org/x/text v0.43.0 // Unicode normalisation of what is signed
	golang.org/x/time v0.16.0 // token buckets of the relay's limits
	modernc.org/sqlite v1.61.1 // journal and stores: SQLite without cgo
	pgregory.net/rapid v1.3.0 // tests: properties with shrinking
)

require (
	github.com/antithesishq/antithesis-sdk-go v0.8.0-default-no-op // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/google/go-tpm v0.9.8 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/jonboulle/clockwork v0.5.0 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/minio/highwayhash v1.0.4 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/nats-io/jwt/v2 v2.8.2 // indirect
	github.com/nats-io/nkeys v0.4.16 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	github.com/synadia-io/orbit.go/natsext v0.1.3 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
	modernc.org/libc v1.79.0 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)
