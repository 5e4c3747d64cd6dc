package xmlsig_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/parleypay/parley/payments/iso20022"
	"github.com/parleypay/parley/payments/iso20022/xmlsig"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Sign header and document, put them into a wrapper, and verify on the other side: what is decoded there are the bytes that are signed.
func Example() {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	key, certificate := exampleKey(now)
	signer := xmlsig.Signer{Key: key, Certificate: certificate}

	question := iso20022.StatusRequest{MessageID: "ENQUIRY-1", Created: now, OriginalMessageID: "PAYMENT-1", OriginalMsgName: iso20022.CreditTransferV8, OriginalEndToEnd: "E2E-1"}
	header := iso20022.Header{Version: iso20022.HeaderV02, From: "PAYRDEF0XXX", To: "CSMIDEF0XXX", BizMsgID: "ENQUIRY-1", MsgDef: question.Definition(), Created: now}
	document := must(question.Append(nil))
	signed := must(signer.SignParts(must(header.Append(nil)), document))
	wire := `<Envelope xmlns="urn:example">` + string(signed) + string(document) + `</Envelope>`

	verifier := xmlsig.Verifier{Certificates: []*x509.Certificate{certificate}, Layout: xmlsig.Parts, Now: func() time.Time { return now }}
	found, err := verifier.Verify([]byte(wire))
	if err != nil {
		fmt.Println(err)
		return
	}
	from := must(iso20022.DecodeHeader(found.Header)).From
	about := must(iso20022.DecodeStatusRequest(found.Document)).OriginalEndToEnd
	fmt.Println(from, "asks about", about, "by the key of", found.Certificate.Subject.CommonName)

	_, err = verifier.Verify([]byte(strings.Replace(wire, "E2E-1", "E2E-2", 1)))
	var refused *xmlsig.Error
	fmt.Println(errors.As(err, &refused), refused.Rule)
	// Output:
	// PAYRDEF0XXX asks about E2E-1 by the key of Example Bank
	// true xmlsig.digest
}

// exampleKey makes a key and the certificate that a rail would register.
func exampleKey(now time.Time) (*rsa.PrivateKey, *x509.Certificate) {
	key := must(rsa.GenerateKey(rand.Reader, 2048))
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), Subject: pkix.Name{CommonName: "Example Bank"}}
	return key, must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))))
}
