package iso20022

// Limits bound what a document may cost before it is refused. They are checked while it is scanned. A field of zero takes the default.
// The deepest nesting in the ISO schemas is 16 below the document; a message with one transaction has a few hundred elements.
type Limits struct {
	SizeBytes  int64 // of the document: 1 MiB
	Depth      int   // of elements inside each other: 32
	Elements   int   // in the document: 10,000
	Attributes int   // of one element, namespace declarations included: 16
	Namespaces int   // declarations of namespaces: 254; never more than 65,000, of which 254 in force at once and 254 different
	Faults     int   // reported before ValidateAll and Validator stop: 100
}

// maxInForce bounds the namespace declarations in force at once, and the different namespaces.
const maxInForce = 254

// maxNameBytes bounds the name of an element or attribute with its prefix. Those of the schemas have at most 36 octets.
const maxNameBytes = 1 << 10

var defaultLimits = Limits{SizeBytes: 1 << 20, Depth: 32, Elements: 10_000, Attributes: 16, Namespaces: 254, Faults: 100}

func (l Limits) withDefaults() Limits {
	if l == (Limits{}) {
		return defaultLimits
	}
	or := func(v *int, otherwise, utmost int) {
		if *v <= 0 {
			*v = otherwise
		}
		*v = min(*v, utmost)
	}
	if l.SizeBytes <= 0 {
		l.SizeBytes = defaultLimits.SizeBytes
	}
	or(&l.Depth, defaultLimits.Depth, 1<<10)
	or(&l.Elements, defaultLimits.Elements, 1<<30)
	or(&l.Attributes, defaultLimits.Attributes, 1<<8)
	or(&l.Namespaces, defaultLimits.Namespaces, 65_000)
	or(&l.Faults, defaultLimits.Faults, 1<<20)
	return l
}
