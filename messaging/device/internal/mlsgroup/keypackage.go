package mlsgroup

import (
	"crypto/ecdh"
	"errors"
	"fmt"
	"time"

	"github.com/thomas-vilte/mls-go/ciphersuite"
	"github.com/thomas-vilte/mls-go/group"
	"github.com/thomas-vilte/mls-go/keypackages"

	"github.com/parleypay/parley/messaging"
)

// Lifetimes of key packages (§7.2). A relay may hand one out for Lifetime; the private keys are kept a little longer, for a Welcome
// that is still on its way.
const (
	Lifetime  = 90 * 24 * time.Hour
	clockSkew = time.Hour
)

// keyPackage is the row of a key package of this device.
type keyPackage struct {
	Public     []byte `cbor:"1,keyasint"`
	Init       []byte `cbor:"2,keyasint"` // X25519
	Encryption []byte `cbor:"3,keyasint"` // X25519
	Expires    int64  `cbor:"4,keyasint"` // Unix seconds
	LastResort bool   `cbor:"5,keyasint,omitempty"`
}

// NewKeyPackage makes a key package and keeps its private keys. It must be durable before it is published. A last resort one may be
// used more than once; the relay gives it out when no other is left.
func (c *Client) NewKeyPackage(rows Rows, now time.Time, lastResort bool) ([]byte, error) {
	from, to := now.Add(-clockSkew).Unix(), now.Add(Lifetime).Unix()
	kp, private, err := keypackages.Generate(c.cred, suite, keypackages.WithLifetime(uint64(from), uint64(to)))
	if err != nil {
		return nil, fmt.Errorf("mlsgroup: key package: %w", err)
	}
	b := kp.Marshal()
	return b, save(rows, KindKeyPackage, reference(b), keyPackage{b, private.InitKey.Bytes(), private.EncryptionKey.Bytes(), to, lastResort})
}

// reference is the KeyPackageRef (§5.2).
func reference(kp []byte) []byte {
	return ciphersuite.MakeKeyPackageRef(kp, suite.HashFunction()).AsSlice()
}

// Expired reports whether a stored key package can be deleted.
func Expired(row []byte, now time.Time) bool {
	var k keyPackage
	return unmarshal(row, &k) != nil || now.After(time.Unix(k.Expires, 0).Add(clockSkew))
}

// CheckKeyPackage reads a key package that the relay gave out for a device and refuses it when it is another's, expired or malformed.
func CheckKeyPackage(b []byte, device messaging.DeviceID, now time.Time) (name string, err error) {
	defer catch(&err)
	kp, m, err := parseKeyPackage(b)
	if err != nil {
		return "", err
	}
	if m.Device != device {
		return "", errors.New("mlsgroup: the relay gave out a key package of another device")
	}
	l := kp.LeafNode.Lifetime
	if l == nil || uint64(now.Add(clockSkew).Unix()) < l.NotBefore || uint64(now.Add(-clockSkew).Unix()) > l.NotAfter {
		return "", errors.New("mlsgroup: the key package is not valid now")
	}
	return m.Name, nil
}

func parseKeyPackage(b []byte) (*keypackages.KeyPackage, messaging.Member, error) {
	kp, err := keypackages.UnmarshalKeyPackage(b)
	if err != nil {
		return nil, messaging.Member{}, errors.New("mlsgroup: malformed key package")
	}
	if err := checkKeyPackage(kp); err != nil {
		return nil, messaging.Member{}, err
	}
	m, err := member(kp.LeafNode.Credential, kp.LeafNode.SignatureKeyBytes)
	return kp, m, err
}

func checkKeyPackage(kp *keypackages.KeyPackage) error {
	if kp.LeafNode == nil || kp.CipherSuite != suite {
		return errors.New("mlsgroup: key package of another cipher suite")
	}
	if _, err := member(kp.LeafNode.Credential, kp.LeafNode.SignatureKeyBytes); err != nil {
		return err
	}
	if err := kp.Validate(); err != nil {
		return fmt.Errorf("mlsgroup: invalid key package: %w", err)
	}
	if err := kp.Verify(suite); err != nil {
		return fmt.Errorf("mlsgroup: invalid key package: %w", err)
	}
	return nil
}

// takeKeyPackage finds the key package that a Welcome was made for.
func (c *Client) takeKeyPackage(rows Rows, w *group.Welcome) (ref []byte, kp *keypackages.KeyPackage, private *keypackages.KeyPackagePrivateKeys, lastResort bool, err error) {
	if len(w.Secrets) > MaxMembers {
		return nil, nil, nil, false, fmt.Errorf("mlsgroup: welcome for %d devices", len(w.Secrets))
	}
	for i := range w.Secrets {
		var k keyPackage
		ref := w.Secrets[i].NewMember
		if err := load(rows, KindKeyPackage, ref, &k, errAbsent); errors.Is(err, errAbsent) {
			continue
		} else if err != nil {
			return nil, nil, nil, false, err
		}
		kp, err := keypackages.UnmarshalKeyPackage(k.Public)
		if err != nil {
			return nil, nil, nil, false, fmt.Errorf("mlsgroup: stored key package: %w", err)
		}
		first, err := ecdh.X25519().NewPrivateKey(k.Init)
		if err != nil {
			return nil, nil, nil, false, fmt.Errorf("mlsgroup: stored key package: %w", err)
		}
		second, err := ecdh.X25519().NewPrivateKey(k.Encryption)
		if err != nil {
			return nil, nil, nil, false, fmt.Errorf("mlsgroup: stored key package: %w", err)
		}
		return ref, kp, &keypackages.KeyPackagePrivateKeys{InitKey: first, EncryptionKey: second, Ed25519SignatureKey: c.cred.Ed25519PrivateKey}, k.LastResort, nil
	}
	return nil, nil, nil, false, errors.New("mlsgroup: welcome for a key package that is not, or no longer, here")
}
