package wire

import (
	"errors"
	"fmt"
	"slices"

	"github.com/parleypay/parley/messaging"
)

func (*Hello) Type() Type              { return TypeHello }
func (*Challenge) Type() Type          { return TypeChallenge }
func (*Auth) Type() Type               { return TypeAuth }
func (*Register) Type() Type           { return TypeRegister }
func (*Ready) Type() Type              { return TypeReady }
func (*PublishKeyPackages) Type() Type { return TypePublishKeyPackages }
func (*ClaimKeyPackage) Type() Type    { return TypeClaimKeyPackage }
func (*KeyPackage) Type() Type         { return TypeKeyPackage }
func (*CountKeyPackages) Type() Type   { return TypeCountKeyPackages }
func (*KeyPackageCount) Type() Type    { return TypeKeyPackageCount }
func (*Send) Type() Type               { return TypeSend }
func (*Commit) Type() Type             { return TypeCommit }
func (*Accepted) Type() Type           { return TypeAccepted }
func (*Conflict) Type() Type           { return TypeConflict }
func (*Sync) Type() Type               { return TypeSync }
func (*Reset) Type() Type              { return TypeReset }
func (*Deliver) Type() Type            { return TypeDeliver }
func (*Synced) Type() Type             { return TypeSynced }
func (*Ack) Type() Type                { return TypeAck }
func (*Ping) Type() Type               { return TypePing }
func (*Pong) Type() Type               { return TypePong }
func (*Failure) Type() Type            { return TypeError }

func (f *Hello) check() error {
	if len(f.Versions) == 0 || len(f.Versions) > MaxVersions {
		return fmt.Errorf("versions: between 1 and %d", MaxVersions)
	}
	return nil
}

func (f *Challenge) check() error {
	if f.Version != Version {
		return errors.New("version: unknown")
	}
	return text("jurisdiction", f.Jurisdiction)
}

func (f *Auth) check() error { return nil }

func (f *Register) check() error {
	return errors.Join(text("token", f.Token), text("jurisdiction", f.Jurisdiction))
}

func (f *Ready) check() error { return stock(f.KeyPackages) }

func (f *PublishKeyPackages) check() error {
	if len(f.Packages) > MaxPackages || len(f.Packages) == 0 && len(f.LastResort) == 0 {
		return fmt.Errorf("packages: between 1 and %d, or a last resort one", MaxPackages)
	}
	for i, p := range f.Packages {
		if len(p) == 0 || len(p) > MaxPackage {
			return fmt.Errorf("packages[%d]: between 1 and %d octets", i, MaxPackage)
		}
	}
	if len(f.LastResort) > MaxPackage {
		return fmt.Errorf("last resort: more than %d octets", MaxPackage)
	}
	return errors.Join(request(f.Req), suite(f.Suite))
}

func (f *ClaimKeyPackage) check() error {
	if len(f.Suites) == 0 || len(f.Suites) > MaxSuites {
		return fmt.Errorf("suites: between 1 and %d", MaxSuites)
	}
	for i, s := range f.Suites {
		if s == 0 || slices.Contains(f.Suites[:i], s) {
			return fmt.Errorf("suites[%d]: 0, or named twice", i)
		}
	}
	return request(f.Req)
}

func (f *KeyPackage) check() error {
	if len(f.Package) == 0 || len(f.Package) > MaxPackage {
		return fmt.Errorf("package: between 1 and %d octets", MaxPackage)
	}
	return errors.Join(request(f.Re), suite(f.Suite))
}

func (f *CountKeyPackages) check() error { return request(f.Req) }
func (f *KeyPackageCount) check() error  { return errors.Join(request(f.Re), stock(f.Stock)) }

func (f *Send) check() error {
	switch {
	case len(f.To) == 0:
		return errors.New("to: empty")
	case len(f.Body) == 0 || len(f.Body) > MaxBody:
		return fmt.Errorf("body: between 1 and %d octets", MaxBody)
	}
	return errors.Join(request(f.Req), devices("to", f.To), class(f.Class))
}

func (f *Commit) check() error {
	switch {
	case len(f.Body) == 0 || len(f.Body)+len(f.Welcome) > MaxHandshake:
		return fmt.Errorf("body: between 1 and %d octets, together with the welcome", MaxHandshake)
	case (len(f.Welcome) == 0) != (len(f.WelcomeTo) == 0):
		return errors.New("welcome: there must be both a welcome and devices for it, or neither")
	}
	if err := errors.Join(request(f.Req), devices("to", f.To), devices("welcome to", f.WelcomeTo)); err != nil {
		return err
	}
	to := make(map[messaging.DeviceID]bool, len(f.To))
	for _, d := range f.To {
		to[d] = true
	}
	for i, d := range f.WelcomeTo {
		if to[d] {
			return fmt.Errorf("welcome to[%d]: also gets the commit", i)
		}
	}
	return nil
}

func (f *Accepted) check() error { return errors.Join(request(f.Re), class(f.Class)) }
func (f *Conflict) check() error { return request(f.Re) }
func (f *Sync) check() error     { return request(f.Req) }
func (f *Reset) check() error    { return class(f.Class) }

func (f *Deliver) check() error {
	most := MaxHandshake
	if f.Kind == KindMessage {
		most = MaxBody
	}
	if len(f.Body) == 0 || len(f.Body) > most {
		return fmt.Errorf("body: between 1 and %d octets", most)
	}
	if f.At < 0 || f.Expires < f.At {
		return errors.New("expires: before it was accepted")
	}
	if (f.Kind == KindMessage) != (f.Head == 0 && f.Group == messaging.ChatID{}) || f.Kind < KindMessage || f.Kind > KindCommit {
		return errors.New("kind: unknown, or group and head do not fit it")
	}
	return class(f.Class)
}

func (f *Synced) check() error { return request(f.Re) }
func (f *Ack) check() error    { return class(f.Class) }
func (f *Ping) check() error   { return nil }
func (f *Pong) check() error   { return nil }

func (f *Failure) check() error {
	if f.Code == 0 {
		return errors.New("code: missing")
	}
	return text("text", f.Text)
}

func request(n uint64) error {
	if n == 0 {
		return errors.New("request number: 0")
	}
	return nil
}

func suite(s uint16) error {
	if s == 0 {
		return errors.New("suite: 0")
	}
	return nil
}

func stock(all []Stock) error {
	if len(all) > MaxSuites {
		return fmt.Errorf("stock: more than %d suites", MaxSuites)
	}
	for i, s := range all {
		if s.Suite == 0 || i > 0 && s.Suite <= all[i-1].Suite {
			return fmt.Errorf("stock[%d]: suites are not in ascending order", i)
		}
	}
	return nil
}

func class(c Class) error {
	if c != Durable && c != Memory {
		return errors.New("class: unknown")
	}
	return nil
}

func text(name, s string) error {
	if len(s) > MaxText {
		return fmt.Errorf("%s: more than %d octets", name, MaxText)
	}
	return nil
}

func devices(name string, ids []messaging.DeviceID) error {
	if len(ids) > MaxRecipients {
		return fmt.Errorf("%s: more than %d", name, MaxRecipients)
	}
	if len(ids) < 2 {
		return nil
	}
	seen := make(map[messaging.DeviceID]struct{}, len(ids))
	for i, d := range ids {
		if _, twice := seen[d]; twice {
			return fmt.Errorf("%s[%d]: named twice", name, i)
		}
		seen[d] = struct{}{}
	}
	return nil
}
