package mls

// PSKType says where a pre-shared key comes from (RFC 9420 §8.4).
type PSKType uint8

// The types of RFC 9420 §8.4.
const (
	PSKExternal   PSKType = 1
	PSKResumption PSKType = 2
)

// ResumptionUsage says what a resumption PSK is for (RFC 9420 §8.4).
type ResumptionUsage uint8

// The usages of RFC 9420 §8.4.
const (
	UsageApplication ResumptionUsage = 1
	UsageReInit      ResumptionUsage = 2
	UsageBranch      ResumptionUsage = 3
)

// PreSharedKeyID names a pre-shared key and its one injection into a group (RFC 9420 §8.4).
type PreSharedKeyID struct {
	Type    PSKType
	ID      []byte          // of an external PSK
	Usage   ResumptionUsage // of a resumption PSK, like the next two
	GroupID []byte
	Epoch   uint64
	Nonce   []byte // fresh for each injection, KDF.Nh octets
}

func (p *PreSharedKeyID) encode(e *encoder) {
	e.u8(uint8(p.Type))
	switch p.Type {
	case PSKExternal:
		e.opaque(p.ID)
	case PSKResumption:
		e.u8(uint8(p.Usage))
		e.opaque(p.GroupID)
		e.u64(p.Epoch)
	default:
		e.fail(&UnsupportedTypeError{"PSK type", uint16(p.Type)})
	}
	e.opaque(p.Nonce)
}

func (p *PreSharedKeyID) decode(d *decoder) {
	switch p.Type = PSKType(d.u8()); p.Type {
	case PSKExternal:
		p.ID = d.opaque()
	case PSKResumption:
		if p.Usage = ResumptionUsage(d.u8()); p.Usage < UsageApplication || p.Usage > UsageBranch {
			d.unsupported("resumption PSK usage", uint16(p.Usage))
		}
		p.GroupID = d.opaque()
		p.Epoch = d.u64()
	default:
		d.unsupported("PSK type", uint16(p.Type))
	}
	p.Nonce = d.opaque()
}
