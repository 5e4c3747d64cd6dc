// Package xmltext copies text between XML documents as it stands. It parses nothing: what it is given was read by package iso20022.
package xmltext

import (
	"bytes"
	"strings"

	"github.com/parleypay/parley/payments/iso20022"
)

// Declaration is how every message of ours begins.
const Declaration = `<?xml version="1.0" encoding="UTF-8"?>`

var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// Escape returns s as it may stand between tags and in a double-quoted attribute.
func Escape(s string) string { return escaper.Replace(s) }

// Inner returns what stands between the tags of e, as it stands.
func Inner(e iso20022.Element) []byte {
	b := e.Bytes()
	quote := byte(0)
	for i, c := range b {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			if b[i-1] == '/' {
				return nil
			}
			return b[i+1 : bytes.LastIndex(b, []byte("</"))]
		}
	}
	return nil
}
